//! The published vectors.

use ciborium::Value;
use session_runtime::__private::cbor::{self, Reader};

struct Vector {
    bytes: Vec<u8>,
    notation: &'static str,
    deterministic: Vec<u8>,
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 2, 0, "{text}");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn vectors() -> Vec<Vector> {
    let lines = include_str!("appendix_a.txt")
        .lines()
        .filter(|line| !line.starts_with('#'));
    let all: Vec<_> = lines
        .map(|line| {
            let columns: Vec<_> = line.split(" | ").collect();
            let bytes = unhex(columns[0]);
            let deterministic = columns.get(2).map_or_else(|| bytes.clone(), |text| unhex(text));
            Vector {
                bytes,
                notation: columns[1],
                deterministic,
            }
        })
        .collect();
    assert_eq!(all.len(), 81, "appendix A has 81 rows");
    all
}

/// RFC 8949, section 8, as far as the vectors need it.
fn notation(value: &Value) -> String {
    match value {
        Value::Integer(n) => i128::from(*n).to_string(),
        Value::Bytes(bytes) => format!("h'{}'", hex(bytes)),
        Value::Float(x) => format!("{x:?}"),
        Value::Text(text) => format!("{text:?}"),
        Value::Bool(x) => x.to_string(),
        Value::Null => "null".into(),
        Value::Tag(tag @ (2 | 3), bytes) => {
            let digits = bytes.as_bytes().unwrap();
            let magnitude = digits.iter().fold(0_i128, |n, byte| n << 8 | i128::from(*byte));
            if *tag == 2 { magnitude } else { -1 - magnitude }.to_string()
        }
        Value::Tag(tag, value) => format!("{tag}({})", notation(value)),
        Value::Array(items) => format!("[{}]", items.iter().map(notation).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entry = |(key, value): &(Value, Value)| format!("{}: {}", notation(key), notation(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => panic!("{other:?} is not in RFC 8949"),
    }
}

#[test]
fn each_is_read_as_published() {
    for Vector {
        bytes,
        notation: published,
        ..
    } in vectors()
    {
        let read = cbor::from_slice::<Value>(&bytes);
        match published {
            "-" => {
                let error = read.unwrap_err().to_string();
                assert!(error.contains("found a simple value"), "{}: {error}", hex(&bytes));
            }
            _ => assert_eq!(notation(&read.unwrap()), published, "{}", hex(&bytes)),
        }
    }
}

#[test]
fn each_is_written_deterministically() {
    for Vector {
        bytes,
        notation,
        deterministic,
    } in vectors()
    {
        if notation != "-" {
            let value: Value = cbor::from_slice(&bytes).unwrap();
            assert_eq!(hex(&cbor::to_vec(&value).unwrap()), hex(&deterministic), "{notation}");
        }
    }
}

#[test]
fn each_is_skipped_as_one_item() {
    for Vector { bytes, notation, .. } in vectors() {
        let mut followed = bytes.clone();
        followed.push(0x07);
        let mut reader = Reader::new(&followed);
        assert_eq!(reader.skip().unwrap(), bytes, "{notation}");
        assert_eq!(reader.uint().unwrap(), 7);
        reader.end().unwrap();
    }
}

/// RFC 8949, appendix F.1, by what is wrong.
const MALFORMED: [(&str, &str); 6] = [
    (
        "the input ends in a head or in a string",
        "18 19 1a 1b 1901 1a0102 1b01020304050607 38 58 78 98 9a01ff00 b8 d8 f8 f900 fa0000 fb000000 41 61 5affffffff00 \
         5bffffffffffffffff010203 7affffffff00 7b7fffffffffffffff010203",
    ),
    (
        "the input ends in an array, a map, a tag or a string in chunks",
        "81 818181818181818181 8200 a1 a20102 a100 a2000000 c0 5f4100 7f6100 9f 9f0102 bf bf01020102 819f 9f8000 \
         9f9f9f9f9fffffffff 9f819f819f9fffffff",
    ),
    (
        "a reserved value of the additional information",
        "1c 1d 1e 3c 3d 3e 5c 5d 5e 7c 7d 7e 9c 9d 9e bc bd be dc dd de fc fd fe",
    ),
    ("a simple value below 32 in two bytes", "f800 f801 f814 f818 f81f"),
    (
        "a chunk that is no definite string of the same kind",
        "5f00ff 5f21ff 5f6100ff 5f80ff 5fa0ff 5fc000ff 5fe0ff 7f4100ff 5f5f4100ffff 7f7f6100ffff",
    ),
    (
        "a break where none can be, or a length left open where none can be",
        "ff 81ff 8200ff a1ff a1ff00 a100ff a20000ff 9f81ff 9f829f819f9fffffffff bf00ff bf000000ff c0ff 1f 3f df",
    ),
];

#[test]
fn malformed_items_are_refused() {
    for (reason, items) in MALFORMED {
        for text in items.split_whitespace() {
            let bytes = unhex(text);
            assert!(Reader::new(&bytes).skip().is_err(), "{text} was stepped over: {reason}");
            assert!(cbor::from_slice::<Value>(&bytes).is_err(), "{text} was read: {reason}");
        }
    }
}
