//! The changes of one request, applied to the record that another one has stored since.

use session_runtime::__private::session::changes::{ChangeError, Changes};
use session_runtime::__private::session::record::Record;
use session_runtime::Session;

use crate::record::meta;

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
    Record::new(Counted::SCHEMA, &meta())
}

/// `record` with these changes applied.
fn applied(changes: &Changes, record: &Record) -> Result<Record, ChangeError> {
    let mut draft = record.draft();
    changes.apply(Counted::SCHEMA, &mut draft)?;
    Ok(draft.finish())
}

/// The changes of a request that opened `record` and did `what`.
fn changed(record: &Record, what: impl FnOnce(&mut <Counted as Session>::Fields)) -> Changes {
    let mut fields = Counted::open(record).unwrap();
    what(&mut fields);
    Changes::collect::<Counted>(&fields).unwrap()
}

/// Two writers that started from the same record and arrived at the same value are still two writers.
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
fn equal_changes_of_a_field_that_rejects_conflict() {
    let record = empty();
    let take = |fields: &mut <Counted as Session>::Fields| fields.set_coupon(Some("SPRING".into()));
    let [first, second] = [changed(&record, take), changed(&record, take)];
    let record = applied(&first, &record).unwrap();
    let refused = applied(&second, &record).unwrap_err();
    assert!(matches!(refused, ChangeError { is_rejected: true, .. }), "{refused:?}");
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

/// The record after another request has counted ten visits and set a coupon.
fn others(record: &Record) -> Record {
    let others = changed(record, |fields| {
        *fields.visits_mut() += 10;
        fields.set_coupon(Some("WINTER".into()));
    });
    applied(&others, record).unwrap()
}

#[test]
fn changes_made_on_top_of_others_are_one_change_of_what_was_loaded() {
    let record = applied(&changed(&empty(), |fields| fields.set_visits(5)), &empty()).unwrap();
    let mut all = changed(&record, |fields| fields.set_note(Some("ring".into())));
    for step in [1, 2] {
        let later = changed(&applied(&all, &record).unwrap(), |fields| *fields.visits_mut() += step);
        all.stage(Counted::SCHEMA, later).unwrap();
    }
    assert_eq!(all.len(), 2);
    let both = Counted::open(&applied(&all, &others(&record)).unwrap()).unwrap();
    assert_eq!((both.visits(), both.note().as_deref()), (&18, Some("ring")));
    assert_eq!(both.coupon().as_deref(), Some("WINTER"));
}

#[test]
fn changes_made_beside_others_are_merged_with_them() {
    let record = applied(&changed(&empty(), |fields| fields.set_visits(5)), &empty()).unwrap();
    let mut all = changed(&record, |fields| *fields.visits_mut() += 1);
    let beside = changed(&record, |fields| *fields.visits_mut() += 2);
    all.stage(Counted::SCHEMA, beside).unwrap();
    let both = Counted::open(&applied(&all, &others(&record)).unwrap()).unwrap();
    assert_eq!(both.visits(), &18);
}

#[test]
fn a_change_that_is_undone_is_pruned() {
    let record = applied(&changed(&empty(), |fields| fields.set_visits(5)), &empty()).unwrap();
    let mut all = changed(&record, |fields| {
        fields.set_visits(6);
        fields.set_note(Some("ring".into()));
    });
    let undone = changed(&applied(&all, &record).unwrap(), |fields| {
        fields.set_visits(5);
        fields.set_note(None);
    });
    all.stage(Counted::SCHEMA, undone).unwrap();
    assert!(all.is_empty(), "{all:?}");
}

#[test]
fn changes_that_cannot_be_staged_leave_earlier_ones_unchanged() {
    let take = |code: &str| changed(&empty(), |fields| fields.set_coupon(Some(code.into())));
    let mut all = take("SPRING");
    let refused = all.stage(Counted::SCHEMA, take("SUMMER")).unwrap_err();
    assert!(matches!(refused, ChangeError { is_rejected: true, .. }), "{refused:?}");
    let record = applied(&all, &empty()).unwrap();
    assert_eq!(Counted::open(&record).unwrap().coupon().as_deref(), Some("SPRING"));
}
