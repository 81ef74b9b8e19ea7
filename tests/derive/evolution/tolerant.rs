//! `on_invalid = default`: a value that does not decode is quarantined in the record under a `~` name.

use std::num::TryFromIntError;

use session_runtime::__private::session::changes::Changes;
use session_runtime::__private::session::record::Record;
use session_runtime::Session;

use super::{change, names, stored, text, with, written};

mod with_default {
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
    let mut shop = with_default::Shop::with_defaults();
    shop.set_visits(5);
    let broken = with(&written::<with_default::Shop>(&shop), "visits", text("many"));
    stored("shop_v1_broken", &broken)
}

#[test]
fn a_tolerant_field_reads_as_its_default_and_quarantines_the_original() {
    let record = broken();
    let shop = with_default::Shop::open(&record).unwrap();
    assert_eq!(shop.visits(), &9);
    assert!(Changes::collect::<with_default::Shop>(&shop).unwrap().is_empty());

    let record = change::<with_default::Shop>(&record, |shop| shop.set_comment(Some("new".into())));
    assert_eq!(record.field("visits"), None);
    assert_eq!(record.field("~1~visits"), Some(&*text("many")));
    let again = change::<with_default::Shop>(&record, |shop| shop.set_comment(None));
    assert_eq!(again.field("~1~visits"), Some(&*text("many")));
    assert_eq!(with_default::Shop::open(&again).unwrap().visits(), &9);
}

#[test]
fn writing_a_tolerant_field_drops_the_quarantined_original() {
    for record in [
        broken(),
        change::<with_default::Shop>(&broken(), |shop| shop.set_comment(None)),
    ] {
        let record = change::<with_default::Shop>(&record, |shop| *shop.visits_mut() += 1);
        assert_eq!(names(&record), ["visits", "comment"]);
        assert_eq!(with_default::Shop::open(&record).unwrap().visits(), &10);
    }
}

mod upgraded {
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
fn a_binary_that_can_decode_a_quarantined_value_restores_it() {
    let record = change::<with_default::Shop>(&broken(), |shop| shop.set_comment(None));
    assert_eq!(upgraded::Shop::open(&record).unwrap().visits(), &4);
    let record = change::<upgraded::Shop>(&record, |shop| shop.set_comment(Some("new".into())));
    assert_eq!(names(&record), ["visits", "comment"]);
    assert_eq!(upgraded::Shop::open(&record).unwrap().visits(), &4);
}

#[test]
fn a_later_write_wins_over_a_quarantined_value() {
    mod strict {
        use session_runtime::Session;

        #[derive(Session)]
        #[session(name = "shop", version = 1)]
        #[cascade(datastore)]
        pub(super) struct Shop {
            pub(super) visits: u8,
        }
    }
    mod untagged {
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
    let record = change::<with_default::Shop>(&broken(), |shop| shop.set_comment(None));
    let restored = untagged::Shop::open(&record).unwrap();
    assert_eq!(restored.visits(), &untagged::Visits::Text("many".into()));

    let record = change::<strict::Shop>(&record, |shop| shop.set_visits(6));
    assert_eq!(
        untagged::Shop::open(&record).unwrap().visits(),
        &untagged::Visits::Number(6)
    );
    let record = change::<untagged::Shop>(&record, |shop| shop.set_comment(Some("new".into())));
    assert_eq!(names(&record), ["visits", "comment"]);
}

mod migrated {
    use session_runtime::Session;

    #[derive(Session)]
    #[session(name = "shop", version = 2, previous = super::with_default::Shop)]
    #[cascade(datastore)]
    pub(super) struct Shop {
        pub(super) total: u8,
        pub(super) comment: Option<String>,
    }

    impl From<super::with_default::Shop> for Shop {
        fn from(old: super::with_default::Shop) -> Self {
            Self {
                total: old.visits,
                comment: old.comment,
            }
        }
    }
}

#[test]
fn a_quarantined_value_survives_a_migration() {
    // Quarantined by an earlier request of the old binary, or by the request that migrates the record.
    let earlier = change::<with_default::Shop>(&broken(), |shop| shop.set_comment(None));
    for record in [earlier, broken()] {
        let record = change::<migrated::Shop>(&record, |shop| shop.set_comment(Some("new".into())));
        assert_eq!(record.field("~1~visits"), Some(&*text("many")));
        assert_eq!(migrated::Shop::open(&record).unwrap().total(), &9);
    }
}

mod migrated_same_field {
    use session_runtime::Session;

    #[derive(Session)]
    #[session(name = "shop", version = 2, previous = super::with_default::Shop)]
    #[cascade(datastore)]
    pub(super) struct Shop {
        #[session(on_invalid = default)]
        pub(super) visits: u64,
        pub(super) comment: Option<String>,
    }

    impl From<super::with_default::Shop> for Shop {
        fn from(old: super::with_default::Shop) -> Self {
            Self {
                visits: old.visits.into(),
                comment: old.comment,
            }
        }
    }
}

#[test]
fn a_quarantined_value_stays_until_its_field_is_written() {
    let mut record = broken();
    for comment in ["one", "two"] {
        record = change::<migrated_same_field::Shop>(&record, |shop| shop.set_comment(Some(comment.into())));
        assert_eq!(record.field("~1~visits"), Some(&*text("many")));
    }
    let record = change::<migrated_same_field::Shop>(&record, |shop| shop.set_visits(1));
    assert_eq!(names(&record), ["visits", "comment"]);
}

#[test]
fn of_two_values_that_do_not_decode_the_later_is_kept() {
    let record = change::<with_default::Shop>(&broken(), |shop| shop.set_comment(None));
    let record = change::<with_default::Shop>(&with(&record, "visits", text("more")), |shop| {
        assert_eq!(shop.visits(), &9);
        shop.set_comment(Some("new".into()));
    });
    assert_eq!(record.field("visits"), None);
    assert_eq!(record.field("~1~visits"), Some(&*text("more")));
}
