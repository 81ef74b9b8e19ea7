//! Structs and maps of every shape, compared with bytes that are composed of ciborium's keys and values.

use std::collections::HashSet;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use serde::ser::{SerializeMap, SerializeStruct, SerializeStructVariant};
use serde::{Serialize, Serializer};
use session_runtime::__private::cbor;

use crate::deterministic::assert_deterministic;

/// Names of 0 to 40 bytes, of which many share a prefix of 8, of 16, or of all but one of their bytes.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut names: Vec<String> = (0..40)
        .flat_map(|length| ["", "z", "ß"].map(|last| format!("{}{last}", "name".repeat(10).split_at(length).0)))
        .collect();
    names.extend(["a", "b", "q", "été", "名前", "created_at", "created_by", "creator_id"].map(String::from));
    names.sort();
    names.dedup();
    names
});

#[derive(Clone, Debug)]
enum Shape {
    Number(u64),
    Text(String),
    Struct(Vec<(&'static str, Shape)>),
    Variant(Vec<(&'static str, Shape)>),
    Texts(Vec<(&'static str, Shape)>),
    Numbers(Vec<(u64, Shape)>),
}

impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Struct(fields) => {
                let mut all = serializer.serialize_struct("Shape", fields.len())?;
                fields
                    .iter()
                    .try_for_each(|(name, value)| all.serialize_field(name, value))?;
                all.end()
            }
            Self::Variant(fields) => {
                let mut all = serializer.serialize_struct_variant("Shape", 0, "Variant", fields.len())?;
                fields
                    .iter()
                    .try_for_each(|(name, value)| all.serialize_field(name, value))?;
                all.end()
            }
            Self::Texts(entries) => {
                let mut all = serializer.serialize_map(Some(entries.len()))?;
                entries
                    .iter()
                    .try_for_each(|(key, value)| all.serialize_entry(key, value))?;
                all.end()
            }
            Self::Numbers(entries) => {
                let mut all = serializer.serialize_map(None)?;
                entries
                    .iter()
                    .try_for_each(|(key, value)| all.serialize_entry(key, value))?;
                all.end()
            }
        }
    }
}

impl Shape {
    /// `None` where a key is duplicated.
    fn expected(&self) -> Option<Vec<u8>> {
        match self {
            Self::Number(number) => Some(item(number)),
            Self::Text(text) => Some(item(text)),
            Self::Struct(entries) | Self::Texts(entries) => map(entries),
            Self::Variant(entries) => Some([vec![0xa1], item("Variant"), map(entries)?].concat()),
            Self::Numbers(entries) => map(entries),
        }
    }
}

fn item(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

fn map(entries: &[(impl Serialize, Shape)]) -> Option<Vec<u8>> {
    let mut items: Vec<(Vec<u8>, Vec<u8>)> = entries
        .iter()
        .map(|(key, value)| Some((item(key), value.expected()?)))
        .collect::<Option<_>>()?;
    items.sort();
    if items.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return None;
    }
    let count = u8::try_from(items.len()).unwrap();
    let head = if count < 24 {
        vec![0xa0 | count]
    } else {
        vec![0xb8, count]
    };
    Some(
        items
            .into_iter()
            .fold(head, |all, (key, value)| [all, key, value].concat()),
    )
}

#[track_caller]
fn check(shape: &Shape) {
    let before = b"what was there before";
    let mut out = before.to_vec();
    let result = cbor::append(shape, &mut out);
    if let Some(expected) = shape.expected() {
        result.unwrap();
        assert_eq!(out, [before, &expected[..]].concat(), "{shape:?}");
        assert_deterministic(&expected);
    } else {
        assert_eq!(
            result.unwrap_err().to_string(),
            "a map has two entries with the same key"
        );
        assert_eq!(out, before);
    }
}

/// In the order of their encoding: shorter first.
fn ordered(count: usize) -> Vec<(&'static str, Shape)> {
    let mut names: Vec<&'static str> = NAMES.iter().map(String::as_str).collect();
    names.sort_by_cached_key(|name| item(*name));
    let step = names.len() / count;
    names
        .into_iter()
        .step_by(step)
        .take(count)
        .enumerate()
        .map(|(n, name)| (name, Shape::Number(7_u64.pow(u32::try_from(n % 20).unwrap()))))
        .collect()
}

#[test]
fn one_field_may_be_out_of_order() {
    for count in 1..=40 {
        let fields = ordered(count);
        assert_eq!(fields.len(), count);
        check(&Shape::Struct(fields.clone()));
        check(&Shape::Struct(fields.iter().rev().cloned().collect()));
        for from in [0, count / 2, count - 1] {
            for to in 0..count {
                let mut displaced = fields.clone();
                let field = displaced.remove(from);
                displaced.insert(to, field);
                check(&Shape::Struct(displaced.clone()));
                // The same once more, around itself.
                displaced[count / 2].1 = Shape::Variant(displaced.clone());
                check(&Shape::Texts(displaced));
            }
        }
    }
}

#[test]
fn a_duplicate_field_is_found_anywhere() {
    for count in 2..=40 {
        let fields = ordered(count);
        for copied in 0..count {
            for to in 0..=count {
                let mut twice = fields.clone();
                // Of another length, so that it would be noticed if it were written.
                twice.insert(to, (fields[copied].0, Shape::Text("again".into())));
                let shape = Shape::Struct(twice);
                assert!(shape.expected().is_none());
                check(&shape);
            }
        }
    }
}

/// Every length of a text, and every length of a key around the eight bytes of a prefix.
#[test]
fn texts_of_every_length() {
    for length in 0..300 {
        let text = "名前 and more of it, é ".repeat(20);
        let text = &text[..text.floor_char_boundary(length)];
        assert_eq!(cbor::to_vec(text).unwrap(), item(text));
    }
    for (at, one) in NAMES.iter().enumerate() {
        for other in NAMES.iter().skip(at + 1) {
            check(&Shape::Struct(vec![(one, Shape::Number(1)), (other, Shape::Number(2))]));
            check(&Shape::Texts(vec![(other, Shape::Number(1)), (one, Shape::Number(2))]));
        }
    }
}

fn name() -> impl Strategy<Value = &'static str> {
    (0..NAMES.len()).prop_map(|at| NAMES[at].as_str())
}

fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(|number| Shape::Number(number >> (number % 64))),
        "\\PC{0,30}".prop_map(Shape::Text),
    ];
    leaf.prop_recursive(4, 120, 12, |inner| {
        let fields = vec((name(), inner.clone()), 0..12)
            .prop_map(|mut fields| {
                // Only among seven fields may there be duplicates.
                if fields.len() != 7 {
                    let mut seen = HashSet::new();
                    fields.retain(|(name, _)| seen.insert(*name));
                }
                fields
            })
            .boxed();
        prop_oneof![
            fields.clone().prop_map(Shape::Struct),
            fields.clone().prop_map(Shape::Variant),
            fields.prop_map(Shape::Texts),
            vec((0..600_u64, inner), 0..12).prop_map(Shape::Numbers),
        ]
    })
}

proptest! {
    #[test]
    fn nested_ones_are_sorted_at_every_level(shape in shape()) {
        check(&shape);
    }
}
