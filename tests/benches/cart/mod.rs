//! A cart of ten fields: as a plain struct, as a session, and as a session of lazy fields.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "several benchmarks share it, and none uses all of it"
)]

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use session_runtime::__private::cascade::item;
use session_runtime::__private::cascade::patch::{Claim, Patch};
use session_runtime::__private::cascade::protocol::Item;
use session_runtime::__private::session::changes::Changes;
use session_runtime::__private::session::meta::{Meta, Millis, Nonce, Nonces, SecretHash};
use session_runtime::__private::session::migrate::migrate;
use session_runtime::__private::session::record::Record;
use session_runtime::Session;
use session_runtime::tier::Version;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, minicbor::Encode, minicbor::Decode)]
pub(crate) struct Cart {
    #[n(0)]
    pub user: u64,
    #[n(1)]
    pub currency: String,
    #[n(2)]
    pub lines: Vec<Line>,
    #[n(3)]
    pub note: Option<String>,
    #[n(4)]
    pub coupon: Option<String>,
    #[n(5)]
    pub gift: bool,
    #[n(6)]
    pub discount: f64,
    #[n(7)]
    pub seen: Vec<u32>,
    #[n(8)]
    pub address: Address,
    #[n(9)]
    pub visits: u32,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, minicbor::Encode, minicbor::Decode)]
pub(crate) struct Line {
    #[n(0)]
    pub sku: String,
    #[n(1)]
    pub title: String,
    #[n(2)]
    pub quantity: u32,
    #[n(3)]
    pub cents: u64,
}

#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize, minicbor::Encode, minicbor::Decode)]
pub(crate) struct Address {
    #[n(0)]
    pub name: String,
    #[n(1)]
    pub street: String,
    #[n(2)]
    pub city: String,
    #[n(3)]
    pub country: String,
}

/// The cart.
pub(crate) fn cart() -> Cart {
    let line = |sku: &str, title: &str, quantity, cents| Line {
        sku: sku.into(),
        title: title.into(),
        quantity,
        cents,
    };
    Cart {
        user: 81_220_431,
        currency: "EUR".into(),
        lines: vec![
            line("B-1044-XL", "Waxed canvas jacket", 1, 14_900),
            line("S-2200", "Wool socks, grey", 4, 990),
            line("H-0031-M", "Felt hat", 1, 5_450),
        ],
        note: Some(
            "Please ring twice, the bell is faint, and leave it with the neighbour on the left when nobody comes."
                .into(),
        ),
        coupon: None,
        gift: true,
        discount: 12.5,
        seen: vec![1044, 2200, 31, 7, 70_112, 15, 900, 4401],
        address: Address {
            name: "Ada Lovelace".into(),
            street: "12 St James's Square".into(),
            city: "London".into(),
            country: "GB".into(),
        },
        visits: 17,
    }
}

/// The cart as a session.
#[derive(Session)]
#[session(name = "cart", version = 1)]
#[cascade(memcache, datastore)]
pub(crate) struct Eager {
    pub user: u64,
    pub currency: String,
    pub lines: Vec<Line>,
    pub note: Option<String>,
    pub coupon: Option<String>,
    pub gift: bool,
    pub discount: f64,
    pub seen: Vec<u32>,
    pub address: Address,
    pub visits: u32,
}

/// The cart as a session of lazy fields.
#[derive(Session)]
#[session(name = "cart", version = 1)]
#[cascade(memcache, datastore)]
pub(crate) struct Lazy {
    #[session(lazy)]
    pub user: u64,
    #[session(lazy)]
    pub currency: String,
    #[session(lazy)]
    pub lines: Vec<Line>,
    #[session(lazy)]
    pub note: Option<String>,
    #[session(lazy)]
    pub coupon: Option<String>,
    #[session(lazy)]
    pub gift: bool,
    #[session(lazy)]
    pub discount: f64,
    #[session(lazy)]
    pub seen: Vec<u32>,
    #[session(lazy)]
    pub address: Address,
    #[session(lazy)]
    pub visits: u32,
}

const SECRET: SecretHash = SecretHash([7; 32]);

/// A commit of `changes`.
pub(crate) fn patch<T: Session>(changes: Changes) -> Patch {
    Patch {
        schema: T::SCHEMA,
        migrate: migrate::<T>,
        changes,
        claim: Claim::Secret(SECRET),
        owner: None,
        rotation: None,
        nonce: Nonce(0x1234_5678_9abc_def0),
        now: Millis(1_790_000_000_000),
        persistent: None,
        default_idle: std::time::Duration::from_mins(20),
        idle: std::time::Duration::from_mins(20),
        anonymous_idle: None,
        max_len: 1 << 20,
    }
}

/// A record with as many nonces as it keeps.
fn record<T: Session>(fields: &T::Fields) -> Record {
    let mut nonces = Nonces::default();
    for at in 0..8 {
        nonces.push(Nonce(0xfedc_ba98_7654_3210 + at));
    }
    let meta = Meta {
        created: Millis(1_780_000_000_000),
        renewed: Millis(1_789_999_999_000),
        deadline: Millis(1_800_000_000_000),
        secret: SECRET,
        previous: None,
        commits: 8,
        nonces,
        idle: None,
        persistent: None,
        owner: None,
    };
    patch::<T>(Changes::collect::<T>(fields).unwrap())
        .create(&meta)
        .unwrap()
}

/// The record after a commit of `fields` to `record`.
pub(crate) fn commit<T: Session>(record: &Record, fields: &T::Fields) -> Record {
    let changes = Changes::collect::<T>(fields).unwrap();
    let patch = patch::<T>(changes);
    patch.make(record, Some(patch.nonce)).unwrap()
}

/// The stored cart, as one of the two sessions.
macro_rules! stored {
    ($name:ident, $session:ident) => {
        pub(crate) fn $name() -> Bytes {
            let (mut fields, cart) = ($session::with_defaults(), cart());
            fields.set_user(cart.user);
            fields.set_currency(cart.currency);
            fields.set_lines(cart.lines);
            fields.set_note(cart.note);
            fields.set_coupon(cart.coupon);
            fields.set_gift(cart.gift);
            fields.set_discount(cart.discount);
            fields.set_seen(cart.seen);
            fields.set_address(cart.address);
            fields.set_visits(cart.visits);
            record::<$session>(&fields).bytes().clone()
        }
    };
}

stored!(stored, Eager);
stored!(stored_lazy, Lazy);

/// The stored cart as a cache item, without its envelope.
pub(crate) fn cached() -> Bytes {
    let mut out = Vec::new();
    let item = Item::Value {
        version: Version(1_790_000_000_000_000),
        asked_at: Millis(1_790_000_000_000),
        record: Record::decode(&stored_lazy()).unwrap(),
    };
    item::append(&item, &mut out);
    out.into()
}

/// The stored cart, opened, with every field changed.
pub(crate) fn changed() -> (Record, EagerFields) {
    let record = Record::decode(&stored()).unwrap();
    let mut fields = Eager::open(&record).unwrap();
    *fields.user_mut() += 1;
    fields.currency_mut().replace_range(.., "USD");
    fields.lines_mut()[0].quantity += 1;
    fields.set_note(fields.note().as_ref().map(|note| note.replace("twice", "once")));
    fields.set_coupon(Some("XMAS".into()));
    fields.set_gift(false);
    *fields.discount_mut() += 1.0;
    fields.seen_mut()[0] += 1;
    fields.address_mut().city.replace_range(.., "Oxford");
    *fields.visits_mut() += 1;
    assert_eq!(Changes::collect::<Eager>(&fields).unwrap().len(), 10);
    (record, fields)
}
