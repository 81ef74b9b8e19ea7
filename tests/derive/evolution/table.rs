//! The rows of the derive's table of versions that keep the struct, one test each.

use std::num::{ParseIntError, TryFromIntError};

use session_runtime::__private::session::record::Record;
use session_runtime::__private::session::{changes::Changes, migrate::migrate};
use session_runtime::Session;

use super::{change, edited, names, stored, text, with, written};

/// The first shop.
mod v1 {
    use session_runtime::Session;

    #[derive(Session)]
    #[session(name = "shop", version = 1)]
    #[cascade(datastore)]
    pub(super) struct Shop {
        pub(super) visits: u8,
        pub(super) comment: Option<String>,
        pub(super) price: String,
    }
}

/// The same version, deployed a little later.
mod v1_extended {
    use session_runtime::Session;

    #[derive(Session)]
    #[session(name = "shop", version = 1, removed("price"))]
    #[cascade(datastore)]
    pub(super) struct Shop {
        pub(super) visits: u8,
        #[session(was = "comment")]
        pub(super) note: Option<String>,
        #[session(default = 3)]
        pub(super) stars: u8,
    }
}

/// Two type changes later.
mod v3 {
    use session_runtime::Session;

    #[derive(Session)]
    #[session(name = "shop", version = 3)]
    #[cascade(datastore)]
    pub(super) struct Shop {
        pub(super) visits: u8,
        #[session(was("note", "comment"))]
        pub(super) remark: Option<String>,
        #[session(upgrade(2, super::narrow), upgrade(1, super::parse))]
        pub(super) price: u32,
    }
}

#[allow(clippy::needless_pass_by_value, reason = "a step is handed the old value")]
fn parse(old: String) -> Result<u64, ParseIntError> {
    old.parse()
}

fn narrow(old: u64) -> Result<u32, TryFromIntError> {
    old.try_into()
}

fn shop_v1(price: &str) -> Record {
    let mut shop = v1::Shop::with_defaults();
    shop.set_visits(5);
    shop.set_comment(Some("by hand".into()));
    shop.set_price(price.into());
    written::<v1::Shop>(&shop)
}

#[test]
fn an_added_field_has_its_default_and_an_old_binary_keeps_it() {
    let old = stored("shop_v1", &shop_v1("120"));
    let mut shop = v1_extended::Shop::open(&old).unwrap();
    assert_eq!((shop.visits(), shop.stars()), (&5, &3));

    shop.set_stars(4);
    let new = written::<v1_extended::Shop>(&shop);
    let by_old = change::<v1::Shop>(&new, |shop| shop.set_visits(6));
    let shop = v1_extended::Shop::open(&by_old).unwrap();
    assert_eq!((shop.visits(), shop.stars()), (&6, &4));
}

#[test]
fn a_removed_field_is_dropped_and_an_old_binary_sees_its_default() {
    let old = stored("shop_v1", &shop_v1("120"));
    let new = migrate::<v1_extended::Shop>(&old).unwrap();
    assert_eq!(new.field("price"), None);
    assert_eq!(v1::Shop::open(&new).unwrap().price(), "");
}

#[test]
fn a_renamed_field_keeps_its_old_name_too_until_the_version_is_raised() {
    let old = stored("shop_v1", &shop_v1("120"));
    let shop = v1_extended::Shop::open(&old).unwrap();
    assert_eq!(shop.note().as_deref(), Some("by hand"));
    assert!(Changes::collect::<v1_extended::Shop>(&shop).unwrap().is_empty());

    let renamed = migrate::<v1_extended::Shop>(&old).unwrap();
    assert_eq!(names(&renamed), ["note", "visits", "comment"]);
    assert_eq!(v1::Shop::open(&renamed).unwrap().comment().as_deref(), Some("by hand"));

    let raised = migrate::<v3::Shop>(&old).unwrap();
    assert_eq!(names(&raised), ["price", "remark", "visits"]);
    assert_eq!(v3::Shop::open(&raised).unwrap().remark().as_deref(), Some("by hand"));
}

#[test]
fn a_changed_type_goes_through_every_step_from_its_version_on() {
    let first = stored("shop_v1", &shop_v1("120"));
    assert_eq!(v3::Shop::open(&first).unwrap().price(), &120);

    let mut price = Vec::new();
    ciborium::into_writer(&121_u64, &mut price).unwrap();
    let second = edited(&shop_v1(""), |draft| {
        draft.set("price", price);
        draft.version = 2;
    });
    let second = stored("shop_v2", &second);
    assert_eq!(v3::Shop::open(&second).unwrap().price(), &121);

    let third = stored("shop_v3", &migrate::<v3::Shop>(&second).unwrap());
    assert_eq!(
        (third.version(), third.fingerprint()),
        (3, v3::Shop::SCHEMA.fingerprint)
    );
    assert_eq!(v3::Shop::open(&third).unwrap().price(), &121);
}

#[test]
fn a_step_that_fails_rejects_the_record_and_names_the_field() {
    let error = v3::Shop::open(&stored("shop_v1_priceless", &shop_v1("priceless"))).unwrap_err();
    assert_eq!(
        (error.session(), error.field(), error.is_newer()),
        ("shop", Some("price"), false)
    );
    assert_eq!(error.to_string(), "session `shop`: cannot upgrade the field `price`");
    let cause = std::error::Error::source(&error).unwrap();
    assert!(cause.is::<ParseIntError>(), "{cause}");
}

#[test]
fn a_record_of_a_newer_binary_is_rejected() {
    let newer = stored("shop_v3", &{
        let mut shop = v3::Shop::with_defaults();
        shop.set_visits(5);
        shop.set_remark(Some("by hand".into()));
        shop.set_price(121);
        written::<v3::Shop>(&shop)
    });
    let error = v1::Shop::open(&newer).unwrap_err();
    assert!(error.is_newer());
    assert_eq!(error.field(), None);
    assert_eq!(
        error.to_string(),
        "session `shop`: the record has version 3, written by a newer binary; this one knows up to version 1: deploy the newer binary here too"
    );
}

#[test]
fn a_field_that_does_not_decode_rejects_the_record() {
    let record = with(&shop_v1("120"), "visits", text("many"));
    let before = record.clone();
    let error = v1::Shop::open(&record).unwrap_err();
    assert_eq!(error.field(), Some("visits"));
    assert_eq!(record, before);
}
