//! Types of every shape that a field may have, and strategies for their values.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use ciborium::Value;
use proptest::collection::{btree_map, hash_map, vec};
use proptest::num::{f32, f64};
use proptest::option;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

type Unsigned = (u8, u16, u32, u64, u128);
type Signed = (i8, i16, i32, i64, i128);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scalars {
    pub(crate) zulu: bool,
    pub(crate) unsigned: Unsigned,
    pub(crate) signed: Signed,
    pub(crate) floats: (f32, f64),
    pub(crate) letter: char,
    pub(crate) text: String,
    pub(crate) bytes: ByteBuf,
    pub(crate) nothing: (),
    pub(crate) unit: Unit,
    pub(crate) wrapped: Wrapped,
    pub(crate) pair: Pair,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Wrapped(pub(crate) Option<u32>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pair(pub(crate) i16, pub(crate) String);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Collections {
    pub(crate) by_text: HashMap<String, i32>,
    pub(crate) by_number: BTreeMap<i64, String>,
    pub(crate) by_tuple: HashMap<(u8, bool), Vec<u8>>,
    pub(crate) by_variant: BTreeMap<Suit, Option<Box<Collections>>>,
    pub(crate) list: Vec<Option<Vec<u16>>>,
    pub(crate) array: [i8; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Suit {
    Clubs,
    Diamonds,
    Hearts,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Shape {
    Point,
    Circle(f64),
    Segment(i32, i64),
    Rectangle {
        width: Option<u8>,
        height: u64,
        name: String,
    },
    Group(Vec<Shape>),
    Framed {
        inner: Box<Shape>,
    },
    Maybe(Option<Box<Shape>>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Internal {
    Login { user: u64, at: i64 },
    Note(Address),
    Logout,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
pub(crate) enum Adjacent {
    One(u8),
    Two(u8, String),
    Named { value: Option<i32> },
    None,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Untagged {
    Integer(i64),
    Float(f64),
    Text(String),
    Address(Address),
    List(Vec<Untagged>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) street: String,
    pub(crate) zip: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flattened {
    pub(crate) id: u32,
    #[serde(flatten)]
    pub(crate) address: Address,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) nick: Option<String>,
    #[serde(flatten)]
    pub(crate) rest: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Borrowing<'a> {
    pub(crate) text: &'a str,
    #[serde(with = "serde_bytes")]
    pub(crate) bytes: &'a [u8],
    #[serde(borrow)]
    pub(crate) either: Cow<'a, str>,
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z]{1,30}",
        "\\PC{0,12}",
        vec(any::<char>(), 250..300).prop_map(String::from_iter)
    ]
}

/// Without NaN, which equals nothing and has a test of its own.
fn double() -> impl Strategy<Value = f64> {
    let all = f64::POSITIVE | f64::NEGATIVE | f64::NORMAL | f64::SUBNORMAL | f64::ZERO | f64::INFINITE;
    prop_oneof![
        all,
        single().prop_map(std::convert::Into::into),
        any::<i16>().prop_map(|n| f64::from(n) / 8.0)
    ]
}

fn single() -> impl Strategy<Value = f32> {
    f32::POSITIVE | f32::NEGATIVE | f32::NORMAL | f32::SUBNORMAL | f32::ZERO | f32::INFINITE
}

/// Spread over the sizes, so that every length of head occurs.
fn wide() -> impl Strategy<Value = u128> {
    (any::<u128>(), 0_u32..128).prop_map(|(n, shift)| n >> shift)
}

pub(crate) fn scalars() -> impl Strategy<Value = Scalars> {
    #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
    fn fill(n: u128, i: i128) -> (Unsigned, Signed) {
        (
            (n as u8, n as u16, n as u32, n as u64, n),
            (i as i8, i as i16, i as i32, i as i64, i),
        )
    }
    let signed = (wide(), any::<bool>()).prop_map(|(n, negative)| {
        if negative {
            !(n >> 1).cast_signed()
        } else {
            (n >> 1).cast_signed()
        }
    });
    let numbers = (wide(), signed).prop_map(|(n, i)| fill(n, i));
    let strings = (any::<char>(), text(), vec(any::<u8>(), 0..40).prop_map(ByteBuf::from));
    let wrapped = option::of(any::<u32>()).prop_map(Wrapped);
    let pair = (any::<i16>(), text()).prop_map(|(number, text)| Pair(number, text));
    (any::<bool>(), numbers, (single(), double()), strings, wrapped, pair).prop_map(
        |(zulu, (unsigned, signed), floats, (letter, text, bytes), wrapped, pair)| Scalars {
            zulu,
            unsigned,
            signed,
            floats,
            letter,
            text,
            bytes,
            nothing: (),
            unit: Unit,
            wrapped,
            pair,
        },
    )
}

pub(crate) fn collections() -> impl Strategy<Value = Collections> {
    let suit = prop_oneof![Just(Suit::Clubs), Just(Suit::Diamonds), Just(Suit::Hearts)];
    let leaf = (
        hash_map(text(), any::<i32>(), 0..30),
        btree_map(any::<i64>(), text(), 0..6),
        hash_map(any::<(u8, bool)>(), vec(any::<u8>(), 0..4), 0..5),
        vec(option::of(vec(any::<u16>(), 0..3)), 0..5),
        any::<[i8; 3]>(),
    )
        .prop_map(|(by_text, by_number, by_tuple, list, array)| Collections {
            by_text,
            by_number,
            by_tuple,
            by_variant: BTreeMap::new(),
            list,
            array,
        });
    leaf.prop_recursive(3, 8, 2, move |inner| {
        let boxed = option::of(inner.clone().prop_map(Box::new));
        (inner, btree_map(suit.clone(), boxed, 0..3))
            .prop_map(|(whole, by_variant)| Collections { by_variant, ..whole })
    })
}

pub(crate) fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        Just(Shape::Point),
        double().prop_map(Shape::Circle),
        any::<(i32, i64)>().prop_map(|(from, to)| Shape::Segment(from, to)),
        (option::of(any::<u8>()), any::<u64>(), text()).prop_map(|(width, height, name)| Shape::Rectangle {
            width,
            height,
            name
        }),
    ];
    leaf.prop_recursive(8, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Shape::Group),
            inner.clone().prop_map(|inner| Shape::Framed { inner: Box::new(inner) }),
            option::of(inner.prop_map(Box::new)).prop_map(Shape::Maybe),
        ]
    })
}

fn address() -> impl Strategy<Value = Address> {
    (text(), option::of(any::<u32>())).prop_map(|(street, zip)| Address { street, zip })
}

pub(crate) fn internal() -> impl Strategy<Value = Internal> {
    prop_oneof![
        any::<(u64, i64)>().prop_map(|(user, at)| Internal::Login { user, at }),
        address().prop_map(Internal::Note),
        Just(Internal::Logout),
    ]
}

pub(crate) fn adjacent() -> impl Strategy<Value = Adjacent> {
    prop_oneof![
        any::<u8>().prop_map(Adjacent::One),
        (any::<u8>(), text()).prop_map(|(number, text)| Adjacent::Two(number, text)),
        option::of(any::<i32>()).prop_map(|value| Adjacent::Named { value }),
        Just(Adjacent::None),
    ]
}

pub(crate) fn untagged() -> impl Strategy<Value = Untagged> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Untagged::Integer),
        double().prop_map(Untagged::Float),
        text().prop_map(Untagged::Text),
        address().prop_map(Untagged::Address),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| vec(inner, 0..4).prop_map(Untagged::List))
}

pub(crate) fn flattened() -> impl Strategy<Value = Flattened> {
    let rest = btree_map("x[a-z]{0,30}", any::<u64>(), 0..30);
    (any::<u32>(), address(), option::of(text()), rest).prop_map(|(id, address, nick, rest)| Flattened {
        id,
        address,
        nick,
        rest,
    })
}

/// Any CBOR value, including tags.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        double().prop_map(Value::Float),
        text().prop_map(Value::Text),
        vec(any::<u8>(), 0..30).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        let key = prop_oneof![text().prop_map(Value::Text), any::<i32>().prop_map(Value::from)];
        let entries = vec((key, inner.clone()), 0..6).prop_map(|mut entries| {
            entries.sort_by_cached_key(|(key, _)| format!("{key:?}"));
            entries.dedup_by(|a, b| a.0 == b.0);
            entries
        });
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            entries.prop_map(Value::Map),
            // Tags 2 and 3 are integers.
            (4_u64.., inner).prop_map(|(tag, item)| Value::Tag(tag, Box::new(item))),
        ]
    })
}
