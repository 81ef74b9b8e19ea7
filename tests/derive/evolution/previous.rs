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

#[derive(Session)]
#[session(name = "basket", version = 4, previous = Cart)]
#[cascade(datastore)]
struct Basket {
    lines: BTreeMap<String, u32>,
}

impl From<Cart> for Basket {
    fn from(old: Cart) -> Self {
        Self { lines: old.lines }
    }
}

#[test]
fn a_record_under_the_name_of_a_previous_struct_is_read_and_renamed() {
    let first = written::<CartV1>(&CartV1::with_defaults());
    Basket::open(&first).unwrap();
    let migrated = migrate::<Basket>(&first).unwrap();
    assert_eq!((migrated.name(), migrated.version()), ("basket", 4));
    Basket::open(&migrated).unwrap();
}

#[test]
fn a_record_of_an_earlier_version_may_already_have_the_later_name() {
    let mut first = CartV1::with_defaults();
    first.set_skus(vec!["a".into()]);
    first.set_count(1);
    let first = edited(&written::<CartV1>(&first), |draft| draft.name = "basket");
    assert_eq!(
        Basket::open(&first).unwrap().lines(),
        &BTreeMap::from([("a".into(), 1)])
    );
    assert_eq!(migrate::<Basket>(&first).unwrap().name(), "basket");
}

#[test]
fn a_record_of_another_session_is_refused_by_name() {
    /// The same fields as the latest cart, so that its records have the same fingerprint.
    #[derive(Session)]
    #[session(name = "till", version = 3)]
    #[cascade(datastore)]
    struct Till {
        lines: BTreeMap<String, u32>,
        #[session(lazy)]
        total: u32,
        note: Option<String>,
    }
    let till = written::<Till>(&Till::with_defaults());
    let errors = [
        Cart::open(&till).unwrap_err(),
        migrate::<Cart>(&till).unwrap_err(),
        Basket::open(&edited(&till, |draft| draft.version = 9)).unwrap_err(),
        CartV1::open(&till).unwrap_err(),
    ];
    for error in &errors {
        assert!(error.is_foreign() && !error.is_newer());
        assert_eq!(error.field(), None);
    }
    assert_eq!(errors[0].session(), "cart");
    assert_eq!(
        errors[0].to_string(),
        "the record belongs to the session `till`, not to `cart`: two structs share a cookie or a key; give them different \
         names with `#[session(name = \"...\")]`"
    );
    // A name that only a later struct has is foreign to an earlier one.
    let basket = written::<Basket>(&Basket::with_defaults());
    assert!(Cart::open(&basket).unwrap_err().is_foreign());
}
