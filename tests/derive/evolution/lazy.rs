//! Lazy fields: which are decoded at first use, and which when the record is opened.

use session_runtime::__private::session::changes::Changes;
use session_runtime::Session;

use super::{change, edited, names, text, with, written};

mod lazy_shop {
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
fn a_lazy_field_is_decoded_at_first_use() {
    let record = with(
        &written::<lazy_shop::Shop>(&lazy_shop::Shop::with_defaults()),
        "visits",
        text("many"),
    );
    let mut shop = lazy_shop::Shop::open(&record).unwrap();
    assert_eq!(shop.visits().unwrap_err().field(), "visits");
    assert_eq!(shop.visits_mut().unwrap_err().field(), "visits");
    assert_eq!(shop.snapshot().unwrap_err().field(), "visits");
    assert!(Changes::collect::<lazy_shop::Shop>(&shop).unwrap().is_empty());
    let mut untouched = Vec::new();
    let visits = lazy_shop::Shop::slot(&shop, 1).unwrap();
    visits.append(record.bytes(), &mut untouched).unwrap();
    assert_eq!(untouched, text("many"));

    shop.set_visits(1);
    assert_eq!(shop.visits().unwrap(), &1);
    let record = change::<lazy_shop::Shop>(&record, |shop| shop.set_visits(1));
    let mut shop = lazy_shop::Shop::open(&record).unwrap();
    *shop.visits_mut().unwrap() += 1;
    assert_eq!(shop.snapshot().unwrap(), lazy_shop::Shop { visits: 2, stars: 9 });
}

#[test]
fn a_lazy_field_of_another_struct_is_decoded_at_once() {
    let record = edited(
        &written::<lazy_shop::Shop>(&lazy_shop::Shop::with_defaults()),
        |draft| {
            draft.set("visits", text("many"));
            draft.fingerprint ^= 1;
        },
    );
    assert_eq!(lazy_shop::Shop::open(&record).unwrap_err().field(), Some("visits"));
}

#[test]
fn a_lazy_tolerant_field_reads_as_its_default_too() {
    let record = with(
        &written::<lazy_shop::Shop>(&lazy_shop::Shop::with_defaults()),
        "stars",
        text("many"),
    );
    let shop = lazy_shop::Shop::open(&record).unwrap();
    assert_eq!(shop.stars().unwrap(), &9);
    let record = change::<lazy_shop::Shop>(&record, |shop| shop.set_visits(1));
    assert_eq!(record.field("~1~stars"), Some(&*text("many")));
    let record = change::<lazy_shop::Shop>(&record, |shop| shop.set_stars(2));
    assert_eq!(names(&record), ["stars", "visits"]);
}

#[test]
fn a_lazy_tolerant_field_that_is_set_unread_is_merged_from_its_default() {
    mod counted {
        use session_runtime::Session;

        #[derive(Session)]
        #[session(name = "shop", version = 1)]
        #[cascade(datastore)]
        pub(super) struct Shop {
            #[session(lazy, on_invalid = default, merge = add, default = 9)]
            pub(super) stars: u8,
            #[session(lazy, on_invalid = default, merge = reject)]
            pub(super) coupon: u8,
        }
    }
    let record = written::<counted::Shop>(&counted::Shop::with_defaults());
    let record = with(&with(&record, "stars", text("many")), "coupon", text("none"));
    let record = change::<counted::Shop>(&record, |shop| {
        shop.set_stars(12);
        shop.set_coupon(3);
    });
    assert_eq!(names(&record), ["stars", "coupon"]);
    let shop = counted::Shop::open(&record).unwrap();
    assert_eq!((shop.stars().unwrap(), shop.coupon().unwrap()), (&12, &3));
}
