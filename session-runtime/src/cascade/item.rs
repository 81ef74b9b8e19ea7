//! How what lies in the cache is written: `[0, version, asked_at, h'record']`, `[1, lease]`, `[2, writer]` or
//! `[2, writer, hides]`, `[3]`.

use bytes::Bytes;

use super::protocol::Item;
use crate::codec::cbor::head::{Reader, push_array, push_bytes, push_uint};
use crate::codec::meta::{Millis, Nonce};
use crate::codec::record::Record;
use crate::tier::Version;

const VALUE: u64 = 0;
const LEASE: u64 = 1;
const FENCE: u64 = 2;
const TOMBSTONE: u64 = 3;

pub(super) fn encode(item: &Item<Record>) -> Vec<u8> {
    let mut out = Vec::with_capacity(24);
    match item {
        Item::Value {
            version,
            asked_at,
            record,
        } => {
            push_array(&mut out, 4);
            push_uint(&mut out, VALUE);
            push_uint(&mut out, version.0);
            push_uint(&mut out, asked_at.0);
            push_bytes(&mut out, &record.encode());
        }
        Item::Lease(nonce) => {
            push_array(&mut out, 2);
            push_uint(&mut out, LEASE);
            push_uint(&mut out, nonce.0);
        }
        Item::Fence { writer, hides } => {
            push_array(&mut out, if hides.is_some() { 3 } else { 2 });
            push_uint(&mut out, FENCE);
            push_uint(&mut out, writer.0);
            if let Some(version) = hides {
                push_uint(&mut out, version.0);
            }
        }
        Item::Tombstone => {
            push_array(&mut out, 1);
            push_uint(&mut out, TOMBSTONE);
        }
    }
    out
}

pub(super) fn decode(bytes: &Bytes) -> Option<Item<Record>> {
    let mut reader = Reader::new(bytes);
    let item = match (reader.array().ok()?, reader.uint().ok()?) {
        (4, VALUE) => {
            let version = Version(reader.uint().ok()?);
            let asked_at = Millis(reader.uint().ok()?);
            let record = Record::decode(&bytes.slice_ref(reader.bytes().ok()?)).ok()?;
            Item::Value {
                version,
                asked_at,
                record,
            }
        }
        (2, LEASE) => Item::Lease(Nonce(reader.uint().ok()?)),
        (length @ 2..=3, FENCE) => {
            let writer = Nonce(reader.uint().ok()?);
            let hides = if length == 3 {
                Some(Version(reader.uint().ok()?))
            } else {
                None
            };
            Item::Fence { writer, hides }
        }
        (1, TOMBSTONE) => Item::Tombstone,
        _ => return None,
    };
    reader.end().ok()?;
    Some(item)
}
