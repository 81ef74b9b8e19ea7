//! Arguments combined on one field.

use std::num::ParseIntError;

use session_runtime::__private::session::record::Record;
use session_runtime::__private::session::{changes::Changes, migrate::migrate};
use session_runtime::Session;

use super::{change, names, stored, text, with, written};

/// The first ledger.
mod v1 {
    use session_runtime::Session;

    #[derive(Session)]
    #[session(name = "ledger", version = 1)]
    #[cascade(datastore)]
    pub(super) struct Ledger {
        pub(super) price: String,
        pub(super) history: String,
        pub(super) code: String,
        #[session(flash)]
        pub(super) notices: Vec<String>,
        #[session(privileged)]
        pub(super) user: Option<u64>,
    }
}

/// Without a code.
mod v2 {
    use session_runtime::Session;

    #[derive(Session)]
    #[session(name = "ledger", version = 2, removed("code"))]
    #[cascade(datastore)]
    pub(super) struct Ledger {
        #[session(was = "price", upgrade(1, super::parse), merge = add)]
        pub(super) cents: u64,
        #[session(lazy, upgrade(1, super::parse))]
        pub(super) history: u64,
        #[session(flash, on_invalid = default)]
        pub(super) notices: Vec<String>,
        #[session(privileged, on_invalid = default)]
        pub(super) user: Option<u64>,
    }
}

/// With another field of the name `code`.
mod v3 {
    use session_runtime::Session;

    #[derive(Session)]
    #[session(name = "ledger", version = 3)]
    #[cascade(datastore)]
    pub(super) struct Ledger {
        #[session(was = "price", upgrade(1, super::parse))]
        pub(super) cents: u64,
        #[session(upgrade(2, super::discard))]
        pub(super) code: u8,
    }
}

#[allow(clippy::needless_pass_by_value, reason = "a step is handed the old value")]
fn parse(old: String) -> Result<u64, ParseIntError> {
    old.parse()
}

#[allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "a step is handed the old value, and may fail"
)]
fn discard(_: String) -> Result<u8, std::convert::Infallible> {
    Ok(0)
}

fn ledger_v1() -> Record {
    let mut ledger = v1::Ledger::with_defaults();
    ledger.set_price("120".into());
    ledger.set_history("7".into());
    ledger.set_code("abc".into());
    ledger.push_notices("saved".into());
    ledger.set_user(Some(4));
    stored("ledger_v1", &written::<v1::Ledger>(&ledger))
}

#[test]
fn a_field_is_renamed_and_upgraded_at_once() {
    let record = ledger_v1();
    let ledger = v2::Ledger::open(&record).unwrap();
    assert_eq!(ledger.cents(), &120);
    assert!(Changes::collect::<v2::Ledger>(&ledger).unwrap().is_empty());

    let record = change::<v2::Ledger>(&record, |ledger| *ledger.cents_mut() += 1);
    assert_eq!(names(&record), ["user", "cents", "history", "notices"]);
    assert_eq!(v2::Ledger::open(&record).unwrap().cents(), &121);
}

#[test]
fn a_lazy_field_is_upgraded_when_the_record_is_opened() {
    let ledger = v2::Ledger::open(&ledger_v1()).unwrap();
    assert_eq!(ledger.history().unwrap(), &7);

    let broken = with(&ledger_v1(), "history", text("long"));
    let before = broken.clone();
    let error = v2::Ledger::open(&broken).unwrap_err();
    assert_eq!((error.field(), broken), (Some("history"), before));
    // A record of the present version is not upgraded.
    let first = ledger_v1();
    let record = migrate::<v2::Ledger>(&first).unwrap();
    assert_eq!(v2::Ledger::open(&record).unwrap().history().unwrap(), &7);
}

#[test]
fn a_reused_name_is_upgraded_from_the_removed_field() {
    assert_eq!(v3::Ledger::open(&ledger_v1()).unwrap().code(), &0);
    let second = stored("ledger_v2", &migrate::<v2::Ledger>(&ledger_v1()).unwrap());
    assert_eq!(second.field("code"), None);
    assert_eq!(v3::Ledger::open(&second).unwrap().code(), &0);
    let third = change::<v3::Ledger>(&second, |ledger| ledger.set_code(3));
    assert_eq!(v3::Ledger::open(&third).unwrap().code(), &3);
}

#[test]
fn messages_that_do_not_decode_are_quarantined_until_one_is_pushed() {
    let record = with(&migrate::<v2::Ledger>(&ledger_v1()).unwrap(), "notices", text("saved"));
    let record = change::<v2::Ledger>(&record, |ledger| {
        assert!(ledger.take_notices().is_empty());
        ledger.set_cents(1);
    });
    assert_eq!(record.field("~2~notices"), Some(&*text("saved")));
    let record = change::<v2::Ledger>(&record, |ledger| ledger.push_notices("new".into()));
    assert_eq!(names(&record), ["user", "cents", "history", "notices"]);
    assert_eq!(v2::Ledger::open(&record).unwrap().notices(), &["new"]);
}

#[test]
fn quarantining_a_privileged_field_is_no_change_of_it() {
    let record = with(&ledger_v1(), "user", text("nobody"));
    let mut ledger = v2::Ledger::open(&record).unwrap();
    assert_eq!(ledger.user(), &None);
    assert_eq!(Changes::collect::<v2::Ledger>(&ledger).unwrap().privileged(), None);
    ledger.set_user(Some(9));
    assert_eq!(
        Changes::collect::<v2::Ledger>(&ledger).unwrap().privileged(),
        Some("user")
    );
}
