//! What one request changed, made again on top of what another wrote.

use session_runtime::Session;
use session_runtime::codec::meta::{Meta, Millis, Nonces, SecretHash};
use session_runtime::codec::patch::{Changes, Refusal};
use session_runtime::codec::record::Record;

#[derive(Session)]
#[session(name = "counted", version = 1)]
#[cascade(datastore)]
struct Counted {
    #[session(merge = add)]
    visits: u64,
    #[session(merge = reject)]
    coupon: Option<String>,
    note: Option<String>,
}

fn empty() -> Record {
    let meta = Meta {
        created: Millis(0),
        renewed: Millis(0),
        deadline: Millis(1),
        secret: SecretHash([0; 32]),
        previous: None,
        commits: 0,
        nonces: Nonces::default(),
    };
    Record::new(Counted::SCHEMA, &meta)
}

/// `record` with these changes made.
fn applied(changes: &Changes, record: &Record) -> Result<Record, Refusal> {
    let mut draft = record.draft();
    changes.apply(Counted::SCHEMA, &mut draft)?;
    Ok(draft.finish())
}

/// What a request that opened `record` and did `what` changed.
fn changed(record: &Record, what: impl FnOnce(&mut <Counted as Session>::Fields)) -> Changes {
    let mut fields = Counted::open(record).unwrap();
    what(&mut fields);
    Changes::collect::<Counted>(&fields).unwrap()
}

/// Two writers that set out from one record and came to one value are two writers all the same.
#[test]
fn equal_changes_of_two_writers_both_count() {
    let mut record = empty();
    let changes = [0; 2].map(|_| changed(&record, |fields| *fields.visits_mut() += 1));
    for change in changes {
        record = applied(&change, &record).unwrap();
    }
    assert_eq!(Counted::open(&record).unwrap().visits(), &2);
}

#[test]
fn equal_changes_of_a_field_that_is_to_conflict_conflict() {
    let record = empty();
    let take = |fields: &mut <Counted as Session>::Fields| fields.set_coupon(Some("SPRING".into()));
    let [first, second] = [changed(&record, take), changed(&record, take)];
    let record = applied(&first, &record).unwrap();
    let refused = applied(&second, &record).unwrap_err();
    assert!(matches!(refused, Refusal::Field(_, true)), "{refused:?}");
}

#[test]
fn the_last_of_two_equal_values_is_that_value() {
    let mut record = empty();
    let write = |fields: &mut <Counted as Session>::Fields| fields.set_note(Some("ring".into()));
    let changes = [changed(&record, write), changed(&record, write)];
    for change in changes {
        record = applied(&change, &record).unwrap();
    }
    assert_eq!(Counted::open(&record).unwrap().note().as_deref(), Some("ring"));
}
