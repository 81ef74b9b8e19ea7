//! What a binary makes of records that another version of it has written: one test a row of the table of changes.
//!
//! The records are files, as the old structs below wrote them. `RECORDS=overwrite` writes them anew; a file that
//! changes by that means that sessions stored today can no longer be read.

use std::collections::BTreeMap;
use std::num::{ParseIntError, TryFromIntError};
use std::path::Path;

use bytes::Bytes;
use session_runtime::Session;
use session_runtime::codec::meta::{Meta, Millis, Nonces, SecretHash};
use session_runtime::codec::patch::{Changes, migrate};
use session_runtime::codec::record::{Draft, Record};

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
mod v1_grown {
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

fn meta() -> Meta {
    Meta {
        created: Millis(1),
        renewed: Millis(2),
        deadline: Millis(3),
        secret: SecretHash([7; 32]),
        previous: None,
        commits: 0,
        nonces: Nonces::default(),
    }
}

/// The record that a session of these fields is stored in.
fn written<T: Session>(fields: &T::Fields) -> Record {
    let opened = T::record(fields);
    edited(&Record::new(T::SCHEMA, &meta()), |draft| {
        for (index, spec) in T::SCHEMA.fields.iter().enumerate() {
            let mut value = Vec::new();
            T::slot(fields, index).unwrap().append(opened, &mut value).unwrap();
            draft.set(spec.name, value);
        }
    })
}

/// The record with an edit.
fn edited(record: &Record, edit: impl FnOnce(&mut Draft<'_>)) -> Record {
    let mut draft = record.draft();
    edit(&mut draft);
    draft.finish()
}

/// Opens, changes and writes.
fn change<T: Session>(record: &Record, change: impl FnOnce(&mut T::Fields)) -> Record {
    let mut fields = T::open(record).unwrap();
    change(&mut fields);
    let changes = Changes::collect::<T>(&fields).unwrap();
    let record = migrate::<T>(record).unwrap();
    let mut draft = record.draft();
    changes.apply(T::SCHEMA, &mut draft).unwrap();
    draft.finish()
}

/// The record in the file, which must be what is written today.
fn stored(name: &str, today: &Record) -> Record {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("derive/records/{name}.cbor"));
    if std::env::var_os("RECORDS").is_some_and(|value| value == "overwrite") {
        std::fs::write(&path, today.bytes()).unwrap();
    }
    let bytes = Bytes::from(std::fs::read(path).unwrap());
    assert_eq!(today.bytes(), &bytes, "{name}");
    Record::decode(&bytes).unwrap()
}

fn shop_v1(price: &str) -> Record {
    let mut shop = v1::Shop::fresh();
    shop.set_visits(5);
    shop.set_comment(Some("by hand".into()));
    shop.set_price(price.into());
    written::<v1::Shop>(&shop)
}

fn text(value: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn names(record: &Record) -> Vec<&str> {
    record.fields().map(|(name, _)| name).collect()
}

#[test]
fn an_added_field_has_its_default_and_an_old_binary_carries_it_along() {
    let old = stored("shop_v1", &shop_v1("120"));
    let mut shop = v1_grown::Shop::open(&old).unwrap();
    assert_eq!((shop.visits(), shop.stars()), (&5, &3));

    shop.set_stars(4);
    let new = written::<v1_grown::Shop>(&shop);
    let by_old = change::<v1::Shop>(&new, |shop| shop.set_visits(6));
    let shop = v1_grown::Shop::open(&by_old).unwrap();
    assert_eq!((shop.visits(), shop.stars()), (&6, &4));
}

#[test]
fn a_removed_field_is_dropped_and_an_old_binary_sees_its_default() {
    let old = stored("shop_v1", &shop_v1("120"));
    let new = migrate::<v1_grown::Shop>(&old).unwrap();
    assert_eq!(new.field("price"), None);
    assert_eq!(v1::Shop::open(&new).unwrap().price(), "");
}

#[test]
fn a_renamed_field_keeps_its_old_name_too_until_the_version_moves() {
    let old = stored("shop_v1", &shop_v1("120"));
    let shop = v1_grown::Shop::open(&old).unwrap();
    assert_eq!(shop.note().as_deref(), Some("by hand"));
    assert!(Changes::collect::<v1_grown::Shop>(&shop).unwrap().is_empty());

    let renamed = migrate::<v1_grown::Shop>(&old).unwrap();
    assert_eq!(names(&renamed), ["note", "visits", "comment"]);
    assert_eq!(v1::Shop::open(&renamed).unwrap().comment().as_deref(), Some("by hand"));

    let moved = migrate::<v3::Shop>(&old).unwrap();
    assert_eq!(names(&moved), ["price", "remark", "visits"]);
    assert_eq!(v3::Shop::open(&moved).unwrap().remark().as_deref(), Some("by hand"));
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
        let mut shop = v3::Shop::fresh();
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
        "session `shop`: the record has version 3, written by a newer binary; this one knows up to version 1"
    );
}

#[test]
fn a_field_that_does_not_decode_rejects_the_record() {
    let record = edited(&shop_v1("120"), |draft| draft.set("visits", text("many")));
    let before = record.clone();
    let error = v1::Shop::open(&record).unwrap_err();
    assert_eq!(error.field(), Some("visits"));
    assert_eq!(record, before);
}

#[derive(Session)]
#[session(name = "cart", version = 1)]
#[cascade(datastore)]
struct CartV1 {
    skus: Vec<String>,
    count: u32,
    note: Option<String>,
}

#[derive(Session)]
#[session(name = "cart", version = 2, previous = CartV1)]
#[cascade(datastore)]
struct CartV2 {
    lines: BTreeMap<String, u32>,
    note: Option<String>,
}

#[derive(Session)]
#[session(name = "cart", version = 3, previous = CartV2)]
#[cascade(datastore)]
struct Cart {
    lines: BTreeMap<String, u32>,
    #[session(lazy)]
    total: u32,
    note: Option<String>,
}

impl From<CartV1> for CartV2 {
    fn from(old: CartV1) -> Self {
        let mut lines = BTreeMap::new();
        for sku in old.skus.into_iter().take(old.count as usize) {
            *lines.entry(sku).or_default() += 1;
        }
        Self { lines, note: old.note }
    }
}

impl From<CartV2> for Cart {
    fn from(old: CartV2) -> Self {
        let total = old.lines.values().sum();
        let CartV2 { lines, note } = old;
        Self { lines, total, note }
    }
}

#[test]
fn a_reshaped_struct_goes_through_every_struct_before_it() {
    let mut first = CartV1::fresh();
    first.set_skus(vec!["a".into(), "b".into(), "a".into()]);
    first.set_count(3);
    first.set_note(Some("note".into()));
    let first = stored("cart_v1", &written::<CartV1>(&first));

    let cart = Cart::open(&first).unwrap();
    assert_eq!(cart.lines(), &BTreeMap::from([("a".into(), 2), ("b".into(), 1)]));
    assert_eq!(cart.total().unwrap(), &3);
    assert_eq!(cart.note().as_deref(), Some("note"));
    assert!((0..3).all(|index| !Cart::slot(&cart, index).unwrap().is_stored(Cart::record(&cart))));
    assert!(Changes::collect::<Cart>(&cart).unwrap().is_empty());

    let third = migrate::<Cart>(&first).unwrap();
    assert_eq!(names(&third), ["note", "lines", "total"]);
    assert_eq!(*third, written::<Cart>(&cart));
}

#[test]
fn a_changed_field_is_merged_with_what_the_record_would_be_today() {
    let first = stored("cart_v1", &{
        let mut first = CartV1::fresh();
        first.set_skus(vec!["a".into(), "b".into(), "a".into()]);
        first.set_count(3);
        first.set_note(Some("note".into()));
        written::<CartV1>(&first)
    });
    let record = change::<Cart>(&first, |cart| cart.set_note(None));
    let cart = Cart::open(&record).unwrap();
    assert_eq!((cart.note(), cart.total().unwrap()), (&None, &3));
}

mod tolerant {
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
    let mut shop = tolerant::Shop::fresh();
    shop.set_visits(5);
    let record = written::<tolerant::Shop>(&shop);
    let broken = edited(&record, |draft| draft.set("visits", text("many")));
    stored("shop_v1_broken", &broken)
}

#[test]
fn a_tolerant_field_takes_its_default_and_keeps_the_original_aside() {
    let record = broken();
    let shop = tolerant::Shop::open(&record).unwrap();
    assert_eq!(shop.visits(), &9);
    assert!(Changes::collect::<tolerant::Shop>(&shop).unwrap().is_empty());

    let record = change::<tolerant::Shop>(&record, |shop| shop.set_comment(Some("new".into())));
    assert_eq!(record.field("visits"), None);
    assert_eq!(record.field("~1~visits"), Some(&*text("many")));
    let again = change::<tolerant::Shop>(&record, |shop| shop.set_comment(None));
    assert_eq!(again.field("~1~visits"), Some(&*text("many")));
    assert_eq!(tolerant::Shop::open(&again).unwrap().visits(), &9);
}

#[test]
fn a_tolerant_field_forgets_the_original_when_it_is_written() {
    for record in [
        broken(),
        change::<tolerant::Shop>(&broken(), |shop| shop.set_comment(None)),
    ] {
        let record = change::<tolerant::Shop>(&record, |shop| *shop.visits_mut() += 1);
        assert_eq!(names(&record), ["visits", "comment"]);
        assert_eq!(tolerant::Shop::open(&record).unwrap().visits(), &10);
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
    let record = change::<tolerant::Shop>(&broken(), |shop| shop.set_comment(None));
    assert_eq!(mended::Shop::open(&record).unwrap().visits(), &4);
    let record = change::<mended::Shop>(&record, |shop| shop.set_comment(Some("new".into())));
    assert_eq!(names(&record), ["visits", "comment"]);
    assert_eq!(mended::Shop::open(&record).unwrap().visits(), &4);
}

mod lazy {
    use session_runtime::Session;

    #[derive(Debug, PartialEq, Session)]
    #[session(name = "shop", version = 1)]
    #[cascade(datastore)]
    pub(super) struct Shop {
        #[session(lazy)]
        pub(super) visits: u8,
        #[session(lazy, on_invalid = default, default = 9)]
        pub(super) stars: u8,
    }
}

#[test]
fn a_lazy_field_is_decoded_at_first_touch() {
    let record = written::<lazy::Shop>(&lazy::Shop::fresh());
    let record = edited(&record, |draft| draft.set("visits", text("many")));
    let mut shop = lazy::Shop::open(&record).unwrap();
    assert_eq!(shop.visits().unwrap_err().field(), "visits");
    assert_eq!(shop.visits_mut().unwrap_err().field(), "visits");
    assert_eq!(shop.snapshot().unwrap_err().field(), "visits");
    assert!(Changes::collect::<lazy::Shop>(&shop).unwrap().is_empty());
    let mut untouched = Vec::new();
    let visits = lazy::Shop::slot(&shop, 1).unwrap();
    visits.append(record.bytes(), &mut untouched).unwrap();
    assert_eq!(untouched, text("many"));

    shop.set_visits(1);
    assert_eq!(shop.visits().unwrap(), &1);
    let record = change::<lazy::Shop>(&record, |shop| shop.set_visits(1));
    let mut shop = lazy::Shop::open(&record).unwrap();
    *shop.visits_mut().unwrap() += 1;
    assert_eq!(shop.snapshot().unwrap(), lazy::Shop { visits: 2, stars: 9 });
}

#[test]
fn a_lazy_field_of_another_struct_is_decoded_at_once() {
    let record = edited(&written::<lazy::Shop>(&lazy::Shop::fresh()), |draft| {
        draft.set("visits", text("many"));
        draft.fingerprint ^= 1;
    });
    assert_eq!(lazy::Shop::open(&record).unwrap_err().field(), Some("visits"));
}

#[test]
fn a_lazy_tolerant_field_takes_its_default_too() {
    let record = written::<lazy::Shop>(&lazy::Shop::fresh());
    let record = edited(&record, |draft| draft.set("stars", text("many")));
    let shop = lazy::Shop::open(&record).unwrap();
    assert_eq!(shop.stars().unwrap(), &9);
    let record = change::<lazy::Shop>(&record, |shop| shop.set_visits(1));
    assert_eq!(record.field("~1~stars"), Some(&*text("many")));
    let record = change::<lazy::Shop>(&record, |shop| shop.set_stars(2));
    assert_eq!(names(&record), ["stars", "visits"]);
}
