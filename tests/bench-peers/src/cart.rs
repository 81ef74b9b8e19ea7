//! The session of every stack: a cart of ten fields, about 440 bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Line {
    sku: String,
    name: String,
    quantity: u32,
    cents: u64,
}

macro_rules! cart {
    ($(#[$attribute:meta])* $name:ident $(, $add:meta)?) => {
        $(#[$attribute])*
        pub(crate) struct $name {
            pub(crate) lines: Vec<Line>,
            $(#[$add])?
            pub(crate) visits: u64,
            pub(crate) user: Option<u64>,
            pub(crate) email: String,
            pub(crate) currency: String,
            pub(crate) locale: String,
            pub(crate) coupon: Option<String>,
            pub(crate) seen: Vec<u64>,
            pub(crate) flags: BTreeMap<String, bool>,
            pub(crate) note: String,
        }
    };
}

cart!(
    #[derive(Clone, Default, Serialize, Deserialize)]
    Cart
);
cart!(
    #[derive(session_runtime::Session)]
    #[session(name = "cart", version = 1)]
    #[cascade(memcache)]
    Cached,
    session(merge = add)
);
cart!(
    #[derive(session_runtime::Session)]
    #[session(name = "cart", version = 1)]
    #[cascade(memcache, datastore)]
    Kept,
    session(merge = add)
);

pub(crate) fn cart() -> Cart {
    let line = |n: u64| Line {
        sku: format!("SKU-{n:06}"),
        name: format!("A thing of many uses, number {n}"),
        quantity: 2,
        cents: 1_999 * n,
    };
    Cart {
        lines: (1..=4).map(line).collect(),
        visits: 0,
        user: Some(4_242),
        email: "someone@example.org".to_owned(),
        currency: "EUR".to_owned(),
        locale: "de-DE".to_owned(),
        coupon: Some("WELCOME10".to_owned()),
        seen: (1_000..1_010).collect(),
        flags: BTreeMap::from([("newsletter".to_owned(), true), ("beta".to_owned(), false)]),
        note: "Please ring twice".to_owned(),
    }
}

/// Sets every field of one of this project's sessions.
macro_rules! fill {
    ($session:ident) => {{
        let cart = $crate::cart::cart();
        $session.set_lines(cart.lines);
        $session.set_user(cart.user);
        $session.set_email(cart.email);
        $session.set_currency(cart.currency);
        $session.set_locale(cart.locale);
        $session.set_coupon(cart.coupon);
        $session.set_seen(cart.seen);
        $session.set_flags(cart.flags);
        $session.set_note(cart.note);
    }};
}
pub(crate) use fill;
