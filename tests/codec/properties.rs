//! Round trips, with ciborium as the oracle in both directions.

use std::fmt::{self, Debug, Formatter};

use ciborium::Value;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use session_runtime::__private::cbor;

use crate::deterministic::assert_deterministic;
use crate::samples::{self, Borrowing};

pub(crate) fn by_ciborium<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

/// The properties of every value of every type.
fn check<T>(value: &T) -> TestCaseResult
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let ours = cbor::to_vec(value).unwrap();
    let theirs = by_ciborium(value);
    prop_assert_eq!(&cbor::from_slice::<T>(&ours).unwrap(), value);
    prop_assert_eq!(&ciborium::from_reader::<T, _>(&ours[..]).unwrap(), value);
    prop_assert_eq!(&cbor::from_slice::<T>(&theirs).unwrap(), value);

    // Only the order of entries may differ, and going through a dynamic value results in the same bytes.
    let dynamic: Value = cbor::from_slice(&theirs).unwrap();
    prop_assert_eq!(&dynamic, &ciborium::from_reader::<Value, _>(&theirs[..]).unwrap());
    prop_assert_eq!(&cbor::to_vec(&dynamic).unwrap(), &ours);

    assert_deterministic(&ours);
    prop_assert_eq!(cbor::Reader::new(&ours).skip().unwrap(), &ours[..]);
    Ok(())
}

proptest! {
    #[test]
    fn scalars(value in samples::scalars()) {
        check(&value)?;
    }

    #[test]
    fn collections(value in samples::collections()) {
        check(&value)?;
    }

    #[test]
    fn enums(value in samples::shape()) {
        check(&value)?;
    }

    #[test]
    fn internally_tagged_enums(value in samples::internal()) {
        check(&value)?;
    }

    #[test]
    fn adjacently_tagged_enums(value in samples::adjacent()) {
        check(&value)?;
    }

    #[test]
    fn untagged_enums(value in samples::untagged()) {
        check(&value)?;
    }

    #[test]
    fn flattened_structs(value in samples::flattened()) {
        check(&value)?;
    }

    #[test]
    fn dynamic_values(value in samples::value()) {
        let theirs = by_ciborium(&value);
        prop_assert_eq!(&cbor::from_slice::<Value>(&theirs).unwrap(), &value);
        // Dynamic maps are equal only if they are in the same order.
        let ordered: Value = ciborium::from_reader(&cbor::to_vec(&value).unwrap()[..]).unwrap();
        prop_assert_eq!(cbor::to_vec(&ordered).unwrap(), cbor::to_vec(&value).unwrap());
        check(&ordered)?;
    }

    #[test]
    fn borrowed_content(text in "\\PC*", bytes: Vec<u8>) {
        let value = Borrowing { text: &text, bytes: &bytes, either: text.as_str().into() };
        let theirs = by_ciborium(&value);
        prop_assert_eq!(&cbor::from_slice::<Borrowing<'_>>(&theirs).unwrap(), &value);
        let ours = cbor::to_vec(&value).unwrap();
        let read: Borrowing<'_> = cbor::from_slice(&ours).unwrap();
        prop_assert_eq!(&read, &value);
        prop_assert!(matches!(read.either, std::borrow::Cow::Borrowed(_)));
    }

    #[test]
    fn floats_keep_their_bits(bits: u64) {
        let value = f64::from_bits(bits);
        let read: f64 = cbor::from_slice(&cbor::to_vec(&value).unwrap()).unwrap();
        prop_assert!(read.to_bits() == bits || (read.is_nan() && value.is_nan()));
        prop_assert!(value.is_nan() || cbor::to_vec(&value).unwrap() == by_ciborium(&value));
    }

    #[test]
    fn integers_beside_each_other(value: i128) {
        let theirs = by_ciborium(&value);
        prop_assert_eq!(&cbor::to_vec(&value).unwrap(), &theirs);
        prop_assert_eq!(cbor::from_slice::<i64>(&theirs).ok(), i64::try_from(value).ok());
        prop_assert_eq!(cbor::from_slice::<u128>(&theirs).ok(), u128::try_from(value).ok());
    }

    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..48)) {
        crate::hostile::compare_with_ciborium(&bytes);
    }
}

#[test]
fn every_half_float_is_read_and_written_as_it_is() {
    for bits in 0..=u16::MAX {
        let [high, low] = bits.to_be_bytes();
        let encoded = [0xf9, high, low];
        let ours: f64 = cbor::from_slice(&encoded).unwrap();
        let theirs: f64 = ciborium::from_reader(&encoded[..]).unwrap();
        assert!(
            ours.to_bits() == theirs.to_bits() || (ours.is_nan() && theirs.is_nan()),
            "{bits:#06x}"
        );
        let expected = if ours.is_nan() { [0xf9, 0x7e, 0x00] } else { encoded };
        assert_eq!(cbor::to_vec(&ours).unwrap(), expected, "{bits:#06x}");
    }
}

#[test]
fn every_nan_has_one_encoding() {
    for bits in [
        0x7ff8_0000_0000_0000,
        0xfff8_0000_0000_0000,
        0x7ff0_0000_0000_0001,
        0x7fff_ffff_ffff_ffff,
    ] {
        assert_eq!(cbor::to_vec(&f64::from_bits(bits)).unwrap(), [0xf9, 0x7e, 0x00]);
    }
    assert_eq!(cbor::to_vec(&f32::NAN).unwrap(), by_ciborium(&f64::NAN));
}

/// ciborium's wrappers for tags work.
#[test]
fn tags_are_kept_for_types_that_ask_for_them() {
    use ciborium::tag::{Captured, Required};

    let required = Required::<_, 32>("http://example.com".to_owned());
    let bytes = cbor::to_vec(&required).unwrap();
    assert_eq!(bytes, by_ciborium(&required));
    assert_eq!(cbor::from_slice::<Required<String, 32>>(&bytes).unwrap(), required);
    assert!(cbor::from_slice::<Required<String, 33>>(&bytes).is_err());
    assert_eq!(cbor::from_slice::<Captured<String>>(&bytes).unwrap().0, Some(32));
    assert_eq!(cbor::from_slice::<Captured<String>>(&bytes[2..]).unwrap().0, None);
    assert_eq!(
        cbor::from_slice::<String>(&bytes).unwrap(),
        required.0,
        "other types skip tags"
    );
}

/// Hand-written visitors may accept only the one type that they ask for.
#[test]
fn a_visitor_gets_the_type_that_it_asks_for() {
    macro_rules! only {
        ($name:ident: $from:ty => $ask:ident, $visit:ident($shown:ty)) => {
            #[derive(Debug, PartialEq)]
            struct $name($from);
            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    struct Only;
                    impl Visitor<'_> for Only {
                        type Value = $name;
                        fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                            f.write_str(stringify!($shown))
                        }
                        fn $visit<E>(self, value: $shown) -> Result<$name, E> {
                            Ok($name(value.into()))
                        }
                    }
                    deserializer.$ask(Only)
                }
            }
        };
    }
    only!(Unsigned: u64 => deserialize_u64, visit_u64(u64));
    only!(Signed: i64 => deserialize_i64, visit_i64(i64));
    only!(Narrow: i64 => deserialize_i8, visit_i64(i64));
    only!(Name: String => deserialize_identifier, visit_str(&str));
    for number in [
        0,
        23,
        24,
        0xff,
        0x100,
        0xffff,
        0x1_0000,
        0xffff_ffff,
        0x1_0000_0000,
        i64::MAX,
    ] {
        let bytes = cbor::to_vec(&number).unwrap();
        assert_eq!(cbor::from_slice::<Unsigned>(&bytes).unwrap().0, number.cast_unsigned());
        assert_eq!(cbor::from_slice::<Signed>(&bytes).unwrap(), Signed(number));
        assert_eq!(cbor::from_slice::<Narrow>(&bytes).unwrap(), Narrow(number));
        let bytes = cbor::to_vec(&!number).unwrap();
        assert_eq!(cbor::from_slice::<Signed>(&bytes).unwrap(), Signed(!number));
    }
    for bytes in [
        &b"\x64name"[..],
        b"\x78\x04name",
        b"\x7f\x62na\x62me\xff",
        b"\xc1\x64name",
    ] {
        assert_eq!(cbor::from_slice::<Name>(bytes).unwrap(), Name("name".into()));
    }
    let too_wide = cbor::from_slice::<Signed>(&cbor::to_vec(&u64::MAX).unwrap()).unwrap_err();
    assert_eq!(too_wide.to_string(), "expected i64, found integer, at byte 0");
}
