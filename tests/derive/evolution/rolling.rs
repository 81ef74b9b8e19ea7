//! Rolling deploys: two binaries with different fields but the same version write one session in turn.

use std::collections::BTreeMap;

use proptest::prelude::*;
use session_runtime::__private::session::record::Record;
use session_runtime::Session;

use super::{change, edited, meta, names, stored, text, with, written};

mod old {
    use session_runtime::Session;

    #[derive(Session)]
    #[session(name = "till", version = 1)]
    #[cascade(datastore)]
    pub(super) struct Till {
        #[session(merge = add)]
        pub(super) visits: u64,
        pub(super) note: Option<String>,
        pub(super) coupon: u8,
        #[session(flash)]
        pub(super) notices: Vec<String>,
    }
}

mod new {
    use session_runtime::Session;

    #[derive(Session)]
    #[session(name = "till", version = 1)]
    #[cascade(datastore)]
    pub(super) struct Till {
        #[session(default = 5)]
        pub(super) a_rating: u8,
        #[session(merge = add)]
        pub(super) visits: u64,
        #[session(lazy)]
        pub(super) basket_of_this_week: Vec<u8>,
        pub(super) note: Option<String>,
        #[session(privileged, on_invalid = default)]
        pub(super) user: Option<u64>,
    }
}

/// What one of the two binaries does in a request.
#[derive(Clone, Debug)]
enum Step {
    OldVisits,
    OldNotes(String),
    OldCoupon(u8),
    OldNotices(String),
    NewVisits,
    NewNotes(String),
    NewRates(u8),
    NewFills(u8),
    NewLogsIn(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::OldVisits),
        "[a-z]{0,3}".prop_map(Step::OldNotes),
        any::<u8>().prop_map(Step::OldCoupon),
        "[a-z]{0,3}".prop_map(Step::OldNotices),
        Just(Step::NewVisits),
        "[a-z]{0,3}".prop_map(Step::NewNotes),
        any::<u8>().prop_map(Step::NewRates),
        any::<u8>().prop_map(Step::NewFills),
        any::<u64>().prop_map(Step::NewLogsIn),
    ]
}

/// What the session must hold.
#[derive(Debug, Default, PartialEq)]
struct Model {
    visits: u64,
    note: Option<String>,
    coupon: u8,
    notices: Vec<String>,
    rating: Option<u8>,
    basket: Vec<u8>,
    user: Option<u64>,
}

fn apply(record: &Record, model: &mut Model, step: Step) -> Record {
    match step {
        Step::OldVisits => {
            model.visits += 1;
            change::<old::Till>(record, |till| *till.visits_mut() += 1)
        }
        Step::OldNotes(note) => {
            model.note = Some(note.clone());
            change::<old::Till>(record, |till| till.set_note(Some(note)))
        }
        Step::OldCoupon(coupon) => {
            model.coupon = coupon;
            change::<old::Till>(record, |till| till.set_coupon(coupon))
        }
        Step::OldNotices(notice) => {
            model.notices.push(notice.clone());
            change::<old::Till>(record, |till| till.push_notices(notice))
        }
        Step::NewVisits => {
            model.visits += 1;
            change::<new::Till>(record, |till| *till.visits_mut() += 1)
        }
        Step::NewNotes(note) => {
            model.note = Some(note.clone());
            change::<new::Till>(record, |till| till.set_note(Some(note)))
        }
        Step::NewRates(rating) => {
            model.rating = Some(rating);
            change::<new::Till>(record, |till| till.set_a_rating(rating))
        }
        Step::NewFills(item) => {
            model.basket.push(item);
            change::<new::Till>(record, |till| till.basket_of_this_week_mut().unwrap().push(item))
        }
        Step::NewLogsIn(user) => {
            model.user = Some(user);
            change::<new::Till>(record, |till| till.set_user(Some(user)))
        }
    }
}

/// The record as both binaries read it.
fn seen(record: &Record) -> Model {
    let old = old::Till::open(record).unwrap();
    let new = new::Till::open(record).unwrap();
    assert_eq!((old.visits(), old.note()), (new.visits(), new.note()));
    Model {
        visits: *old.visits(),
        note: old.note().clone(),
        coupon: *old.coupon(),
        notices: old.notices().clone(),
        rating: Some(*new.a_rating()).filter(|rating| *rating != 5),
        basket: new.basket_of_this_week().unwrap().clone(),
        user: *new.user(),
    }
}

proptest! {
    #[test]
    fn neither_of_two_binaries_loses_what_the_other_wrote(steps in proptest::collection::vec(step(), 0..24)) {
        let mut record = written::<old::Till>(&old::Till::with_defaults());
        let mut model = Model::default();
        for step in steps {
            record = apply(&record, &mut model, step);
            // Through the bytes, as between two machines.
            record = Record::decode(record.bytes()).unwrap();
        }
        model.rating = model.rating.filter(|rating| *rating != 5);
        prop_assert_eq!(seen(&record), model);
    }

    /// The codec expects a field at the position that it has among the fields of the struct; unknown ones shift it.
    #[test]
    fn unknown_fields_are_kept_wherever_they_sort(
        unknown in proptest::collection::btree_map("[a-z~_0-9]{1,12}", any::<u8>(), 0..12),
        steps in proptest::collection::vec(step(), 0..8),
    ) {
        let known = ["a_rating", "visits", "basket_of_this_week", "note", "user", "coupon", "notices"];
        let mut record = edited(&Record::new(new::Till::SCHEMA, &meta()), |draft| draft.fingerprint = 0);
        let mut expected = BTreeMap::new();
        for (name, value) in unknown {
            // A `~` marks a quarantined value, which belongs to a known field.
            if known.contains(&&*name) || name.starts_with('~') {
                continue;
            }
            record = with(&record, &name, vec![0x18, value | 0x80]);
            expected.insert(name, value | 0x80);
        }
        let mut model = Model::default();
        for step in steps {
            record = apply(&record, &mut model, step);
        }
        model.rating = model.rating.filter(|rating| *rating != 5);
        prop_assert_eq!(seen(&record), model);
        let kept = record.fields().filter(|(name, _)| !known.contains(name));
        let kept: BTreeMap<_, _> = kept.map(|(name, bytes)| (name.to_owned(), bytes[1])).collect();
        prop_assert_eq!(kept, expected);
    }
}

fn till_v1() -> Record {
    let mut till = old::Till::with_defaults();
    till.set_visits(5);
    till.set_note(Some("by hand".into()));
    till.push_notices("saved".into());
    stored("till_v1", &written::<old::Till>(&till))
}

#[test]
fn a_record_of_the_first_till_is_read_by_the_next_and_written_by_both() {
    let record = change::<new::Till>(&till_v1(), |till| till.set_a_rating(4));
    let record = change::<old::Till>(&record, |till| {
        assert_eq!(till.take_notices(), ["saved"]);
        *till.visits_mut() += 1;
    });
    let till = new::Till::open(&record).unwrap();
    assert_eq!((till.a_rating(), till.visits()), (&4, &6));
    assert_eq!(till.note().as_deref(), Some("by hand"));
}

#[test]
fn a_default_is_that_of_the_binary_that_reads() {
    mod other_default {
        use session_runtime::Session;

        #[derive(Session)]
        #[session(name = "till", version = 1)]
        #[cascade(datastore)]
        pub(super) struct Till {
            #[session(default = 9)]
            pub(super) a_rating: u8,
        }
    }
    let untouched = change::<new::Till>(&till_v1(), |till| till.set_user(Some(7)));
    assert_eq!(other_default::Till::open(&untouched).unwrap().a_rating(), &9);
    // Set by the program to the value that is also its default.
    let meant = change::<new::Till>(&untouched, |till| till.set_a_rating(4));
    let meant = change::<new::Till>(&meant, |till| till.set_a_rating(5));
    assert_eq!(other_default::Till::open(&meant).unwrap().a_rating(), &5);
}

#[test]
fn an_old_binary_keeps_what_a_new_one_quarantined() {
    let record = with(&till_v1(), "user", text("nobody"));
    let record = change::<new::Till>(&record, |till| {
        assert_eq!(till.user(), &None);
        till.set_a_rating(1);
    });
    assert_eq!(record.field("~1~user"), Some(&*text("nobody")));
    let record = change::<old::Till>(&record, |till| till.set_coupon(3));
    assert_eq!(record.field("~1~user"), Some(&*text("nobody")));
    let record = change::<new::Till>(&record, |till| till.set_user(Some(8)));
    assert_eq!(
        names(&record),
        ["note", "user", "coupon", "visits", "notices", "a_rating"]
    );
}
