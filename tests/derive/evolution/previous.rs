//! `previous`: records that are migrated through the structs of every version before.

use std::collections::BTreeMap;

use session_runtime::__private::session::{changes::Changes, migrate::migrate};
use session_runtime::Session;

use super::{change, edited, names, stored, text, with, written};

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
fn a_record_is_migrated_through_every_previous_struct() {
    let mut first = CartV1::with_defaults();
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
fn a_change_is_applied_to_the_migrated_record() {
    let first = stored("cart_v1", &{
        let mut first = CartV1::with_defaults();
        first.set_skus(vec!["a".into(), "b".into(), "a".into()]);
        first.set_count(3);
        first.set_note(Some("note".into()));
        written::<CartV1>(&first)
    });
    let record = change::<Cart>(&first, |cart| cart.set_note(None));
    let cart = Cart::open(&record).unwrap();
    assert_eq!((cart.note(), cart.total().unwrap()), (&None, &3));
}

#[test]
fn an_unknown_field_is_kept_through_every_migration() {
    let mut first = CartV1::with_defaults();
    first.set_note(Some("note".into()));
    let first = edited(&written::<CartV1>(&first), |draft| {
        draft.set("a", text("first"));
        draft.set("unknown_to_all_of_them", text("last"));
    });
    let third = change::<Cart>(&first, |cart| cart.set_note(None));
    let mut kept = names(&third);
    kept.sort_unstable();
    assert_eq!(kept, ["a", "lines", "note", "total", "unknown_to_all_of_them"]);
    assert_eq!(third.field("a"), Some(&*text("first")));
}

#[test]
fn an_error_in_an_earlier_struct_names_its_field() {
    let first = with(&written::<CartV1>(&CartV1::with_defaults()), "count", text("many"));
    let before = first.clone();
    let error = Cart::open(&first).unwrap_err();
    assert_eq!((error.session(), error.field()), ("cart", Some("count")));
    assert_eq!(first, before);
}
