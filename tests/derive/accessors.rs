//! What a handler can do with the fields of a session.

use serde::{Deserialize, Serialize};
use session_runtime::{Session, Tiers};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Line {
    sku: String,
}

/// A type that is neither `Clone` nor `Debug`.
#[derive(Default, PartialEq, Serialize, Deserialize)]
struct Plain(u8);

#[derive(Session)]
#[session(name = "shop", version = 1)]
#[cascade(memcache, datastore)]
struct Shop {
    lines: Vec<Line>,
    #[session(merge = add)]
    visits: u64,
    #[session(privileged, secret)]
    user: Option<u64>,
    #[session(default = Plain(7))]
    plain: Plain,
    note: Option<String>,
}

#[test]
fn a_field_is_read_changed_and_replaced() {
    let mut shop = Shop::with_defaults();
    shop.lines_mut().push(Line { sku: "a".into() });
    *shop.visits_mut() += 1;
    shop.set_note(Some("note".into()));
    assert_eq!(shop.lines().len(), 1);
    assert_eq!(shop.visits(), &1);
    assert_eq!(shop.note().as_deref(), Some("note"));
    assert_eq!(shop.user(), &None);
}

#[test]
fn a_detached_session_reads_all_fields_and_changes_those_that_are_not_privileged() {
    let mut shop = Shop::with_defaults();
    shop.set_user(Some(4_242));
    let mut shop = Shop::into_detached(shop);
    shop.lines_mut().push(Line { sku: "a".into() });
    *shop.visits_mut() += 1;
    shop.set_note(Some("note".into()));
    assert_eq!((shop.visits(), shop.user()), (&1, &Some(4_242)));
    assert_eq!(shop.snapshot().note.as_deref(), Some("note"));
    assert_eq!(Shop::detached_fields(&mut shop).lines().len(), 1);
    assert!(!format!("{shop:?}").contains("4242"));
}

#[test]
fn a_snapshot_needs_no_clone() {
    let mut shop = Shop::with_defaults();
    shop.plain_mut().0 += 1;
    shop.set_visits(3);
    let Shop { plain, visits, .. } = shop.snapshot();
    assert!(plain == Plain(8));
    assert_eq!(visits, 3);
}

#[test]
fn debug_shows_values_but_no_secrets() {
    let mut shop = Shop::with_defaults();
    shop.set_user(Some(4_242));
    assert_eq!(
        format!("{shop:?}"),
        "ShopFields { lines: [], visits: 0, user: [secret], plain: .., note: None }"
    );
}

#[derive(Session)]
#[session(name = "shop", version = 2, previous = Shop, removed("forgotten"))]
#[cascade(memcache)]
struct Next {
    #[session(was("token", "key"), secret)]
    credential: String,
    visits: u64,
}

impl From<Shop> for Next {
    fn from(old: Shop) -> Self {
        Self {
            credential: String::new(),
            visits: old.visits,
        }
    }
}

#[test]
fn secrets_and_unknown_fields_are_hidden_under_every_name() {
    let hidden = [
        "credential",
        "token",
        "key",
        "~1~token",
        "user",
        "~1~user",
        "forgotten",
        "unknown",
        "~",
    ];
    let shown = ["visits", "note", "lines", "~1~visits"];
    for name in hidden {
        assert!(Next::SCHEMA.is_secret(name), "{name}");
    }
    for name in shown {
        assert!(!Next::SCHEMA.is_secret(name), "{name}");
    }
}

#[test]
fn the_tiers_are_a_const() {
    const TIERS: Tiers = Shop::TIERS;
    assert_eq!(TIERS, Tiers::MEMCACHE | Tiers::DATASTORE);
    assert_eq!(TIERS, <Shop as Session>::TIERS);
}

#[derive(Session)]
#[cascade(request)]
struct Messages {
    #[session(flash)]
    notices: Vec<String>,
    #[session(flash, accessor = "warning")]
    r#type: Vec<Line>,
}

#[test]
fn a_flash_field_is_read_once() {
    let mut messages = Messages::with_defaults();
    messages.push_notices("saved".into());
    messages.push_warning(Line { sku: "a".into() });
    assert_eq!(messages.notices().len(), 1);
    assert_eq!(messages.take_notices(), ["saved"]);
    assert!(messages.take_notices().is_empty());
    assert_eq!(messages.snapshot().r#type, messages.take_warning());
    assert_eq!(Messages::SCHEMA.fields[0].name, "type");
}

#[test]
fn of_more_messages_than_a_field_keeps_the_oldest_are_dropped() {
    let mut messages = Messages::with_defaults();
    for number in 0..40 {
        messages.push_notices(number.to_string());
    }
    let expected: Vec<_> = (8..40).map(|number: u32| number.to_string()).collect();
    assert_eq!(messages.take_notices(), expected);
}

#[test]
fn taking_no_messages_changes_nothing() {
    let mut messages = Messages::with_defaults();
    assert!(messages.take_notices().is_empty());
    let is_touched = |messages: &MessagesFields| Messages::slot(messages, 1).unwrap().is_touched();
    assert!(!is_touched(&messages));
    messages.push_notices("saved".into());
    assert!(is_touched(&messages));
}
