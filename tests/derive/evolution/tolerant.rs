//! `on_invalid = default`: the value that does not decode steps aside, and is not lost.

use std::num::TryFromIntError;

use session_runtime::__private::session::changes::Changes;
use session_runtime::__private::session::record::Record;
use session_runtime::Session;

use super::{change, names, stored, text, with, written};

mod kind {
    use session_runtime::Session;

    #[derive(Session)]
    #[session(name = "shop", version = 1)]
    #[cascade(datastore)]
    pub(super) struct Shop {
        #[session(on_invalid = default, merge = add, default = 9)]
        pub(super) visits: u8,
        pub(super) comment: Option<String>,
    }
}

fn broken() -> Record {
    let mut shop = kind::Shop::with_defaults();
    shop.set_visits(5);
    let broken = with(&written::<kind::Shop>(&shop), "visits", text("many"));
    stored("shop_v1_broken", &broken)
}

#[test]
fn a_tolerant_field_takes_its_default_and_keeps_the_original_aside() {
    let record = broken();
    let shop = kind::Shop::open(&record).unwrap();
    assert_eq!(shop.visits(), &9);
    assert!(Changes::collect::<kind::Shop>(&shop).unwrap().is_empty());

    let record = change::<kind::Shop>(&record, |shop| shop.set_comment(Some("new".into())));
    assert_eq!(record.field("visits"), None);
    assert_eq!(record.field("~1~visits"), Some(&*text("many")));
    let again = change::<kind::Shop>(&record, |shop| shop.set_comment(None));
    assert_eq!(again.field("~1~visits"), Some(&*text("many")));
    assert_eq!(kind::Shop::open(&again).unwrap().visits(), &9);
}

#[test]
fn a_tolerant_field_forgets_the_original_when_it_is_written() {
    for record in [broken(), change::<kind::Shop>(&broken(), |shop| shop.set_comment(None))] {
        let record = change::<kind::Shop>(&record, |shop| *shop.visits_mut() += 1);
        assert_eq!(names(&record), ["visits", "comment"]);
        assert_eq!(kind::Shop::open(&record).unwrap().visits(), &10);
    }
}

mod mended {
    use session_runtime::Session;

    #[derive(Session)]
    #[session(name = "shop", version = 2)]
    #[cascade(datastore)]
    pub(super) struct Shop {
        #[session(on_invalid = default, upgrade(1, super::length))]
        pub(super) visits: u8,
        pub(super) comment: Option<String>,
    }
}

#[allow(clippy::needless_pass_by_value, reason = "a step is handed the old value")]
fn length(old: String) -> Result<u8, TryFromIntError> {
    old.len().try_into()
}

#[test]
fn a_binary_that_can_read_it_takes_up_what_was_set_aside() {
    let record = change::<kind::Shop>(&broken(), |shop| shop.set_comment(None));
    assert_eq!(mended::Shop::open(&record).unwrap().visits(), &4);
    let record = change::<mended::Shop>(&record, |shop| shop.set_comment(Some("new".into())));
    assert_eq!(names(&record), ["visits", "comment"]);
    assert_eq!(mended::Shop::open(&record).unwrap().visits(), &4);
}

#[test]
fn what_another_binary_wrote_since_counts_for_more_than_what_was_set_aside() {
    mod strict {
        use session_runtime::Session;

        #[derive(Session)]
        #[session(name = "shop", version = 1)]
        #[cascade(datastore)]
        pub(super) struct Shop {
            pub(super) visits: u8,
        }
    }
    mod lenient {
        use serde::{Deserialize, Serialize};
        use session_runtime::Session;

        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        #[serde(untagged)]
        pub(super) enum Visits {
            Number(u8),
            Text(String),
        }

        #[derive(Session)]
        #[session(name = "shop", version = 1)]
        #[cascade(datastore)]
        pub(super) struct Shop {
            #[session(on_invalid = default, default = Visits::Number(0))]
            pub(super) visits: Visits,
            pub(super) comment: Option<String>,
        }
    }
    let record = change::<kind::Shop>(&broken(), |shop| shop.set_comment(None));
    let taken_up = lenient::Shop::open(&record).unwrap();
    assert_eq!(taken_up.visits(), &lenient::Visits::Text("many".into()));

    let record = change::<strict::Shop>(&record, |shop| shop.set_visits(6));
    assert_eq!(
        lenient::Shop::open(&record).unwrap().visits(),
        &lenient::Visits::Number(6)
    );
    let record = change::<lenient::Shop>(&record, |shop| shop.set_comment(Some("new".into())));
    assert_eq!(names(&record), ["visits", "comment"]);
}

mod reshaped {
    use session_runtime::Session;

    #[derive(Session)]
    #[session(name = "shop", version = 2, previous = super::kind::Shop)]
    #[cascade(datastore)]
    pub(super) struct Shop {
        pub(super) total: u8,
        pub(super) comment: Option<String>,
    }

    impl From<super::kind::Shop> for Shop {
        fn from(old: super::kind::Shop) -> Self {
            Self {
                total: old.visits,
                comment: old.comment,
            }
        }
    }
}

#[test]
fn what_was_set_aside_outlives_the_struct_that_could_not_read_it() {
    // By an earlier request of the old binary, and by the very one that brings the record up to date.
    let earlier = change::<kind::Shop>(&broken(), |shop| shop.set_comment(None));
    for record in [earlier, broken()] {
        let record = change::<reshaped::Shop>(&record, |shop| shop.set_comment(Some("new".into())));
        assert_eq!(record.field("~1~visits"), Some(&*text("many")));
        assert_eq!(reshaped::Shop::open(&record).unwrap().total(), &9);
    }
}

mod reshaped_alike {
    use session_runtime::Session;

    #[derive(Session)]
    #[session(name = "shop", version = 2, previous = super::kind::Shop)]
    #[cascade(datastore)]
    pub(super) struct Shop {
        #[session(on_invalid = default)]
        pub(super) visits: u64,
        pub(super) comment: Option<String>,
    }

    impl From<super::kind::Shop> for Shop {
        fn from(old: super::kind::Shop) -> Self {
            Self {
                visits: old.visits.into(),
                comment: old.comment,
            }
        }
    }
}

#[test]
fn what_was_set_aside_stays_until_the_field_is_written_on_purpose() {
    let mut record = broken();
    for comment in ["one", "two"] {
        record = change::<reshaped_alike::Shop>(&record, |shop| shop.set_comment(Some(comment.into())));
        assert_eq!(record.field("~1~visits"), Some(&*text("many")));
    }
    let record = change::<reshaped_alike::Shop>(&record, |shop| shop.set_visits(1));
    assert_eq!(names(&record), ["visits", "comment"]);
}

#[test]
fn of_two_values_that_do_not_decode_the_later_is_kept() {
    let record = change::<kind::Shop>(&broken(), |shop| shop.set_comment(None));
    let record = change::<kind::Shop>(&with(&record, "visits", text("more")), |shop| {
        assert_eq!(shop.visits(), &9);
        shop.set_comment(Some("new".into()));
    });
    assert_eq!(record.field("visits"), None);
    assert_eq!(record.field("~1~visits"), Some(&*text("more")));
}
