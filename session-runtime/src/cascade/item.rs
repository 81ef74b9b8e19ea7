//! The encoding of a cache item: a value `[0, version, asked_at, h'record']`, a lease `[1, lease]`, a fence `[2, writer]`
//! or `[2, writer, replaced_version]`, a tombstone `[3]`.

use bytes::Bytes;

use super::protocol::Item;
use super::stored::StoredRecord;
use crate::cbor::Reader;
use crate::cbor::head::{head_len, push_array, push_bytes, push_uint, string_len};
use crate::session::meta::{Millis, Nonce};
use crate::tier::Version;

const VALUE: u64 = 0;
const LEASE: u64 = 1;
const FENCE: u64 = 2;
const TOMBSTONE: u64 = 3;

/// The number of bytes that [`append`] writes.
pub(super) fn encoded_len<R: StoredRecord>(item: &Item<R>) -> usize {
    match item {
        Item::Value {
            version,
            asked_at,
            record,
        } => {
            head_len(4)
                + head_len(VALUE)
                + head_len(version.0)
                + head_len(asked_at.0)
                + string_len(record.bytes().len())
        }
        Item::Lease(nonce) => head_len(2) + head_len(LEASE) + head_len(nonce.0),
        Item::Fence {
            writer,
            replaced_version,
        } => {
            head_len(3)
                + head_len(FENCE)
                + head_len(writer.0)
                + replaced_version.map_or(0, |version| head_len(version.0))
        }
        Item::Tombstone => head_len(1) + head_len(TOMBSTONE),
    }
}

/// Appends the encoded item to `out`.
pub fn append<R: StoredRecord>(item: &Item<R>, out: &mut Vec<u8>) {
    match item {
        Item::Value {
            version,
            asked_at,
            record,
        } => {
            push_array(out, 4);
            push_uint(out, VALUE);
            push_uint(out, version.0);
            push_uint(out, asked_at.0);
            push_bytes(out, record.bytes());
        }
        Item::Lease(nonce) => {
            push_array(out, 2);
            push_uint(out, LEASE);
            push_uint(out, nonce.0);
        }
        Item::Fence {
            writer,
            replaced_version,
        } => {
            push_array(out, if replaced_version.is_some() { 3 } else { 2 });
            push_uint(out, FENCE);
            push_uint(out, writer.0);
            if let Some(version) = replaced_version {
                push_uint(out, version.0);
            }
        }
        Item::Tombstone => {
            push_array(out, 1);
            push_uint(out, TOMBSTONE);
        }
    }
}

/// Decodes an item; `None` if `bytes` are not one. A record shares the memory of `bytes`.
pub fn decode<R: StoredRecord>(bytes: &Bytes) -> Option<Item<R>> {
    let mut reader = Reader::new(bytes);
    let item = match (reader.array().ok()?, reader.uint().ok()?) {
        (4, VALUE) => {
            let version = Version(reader.uint().ok()?);
            let asked_at = Millis(reader.uint().ok()?);
            let record = R::decode(&bytes.slice_ref(reader.bytes().ok()?)).ok()?;
            Item::Value {
                version,
                asked_at,
                record,
            }
        }
        (2, LEASE) => Item::Lease(Nonce(reader.uint().ok()?)),
        (length @ 2..=3, FENCE) => {
            let writer = Nonce(reader.uint().ok()?);
            let replaced_version = if length == 3 {
                Some(Version(reader.uint().ok()?))
            } else {
                None
            };
            Item::Fence {
                writer,
                replaced_version,
            }
        }
        (1, TOMBSTONE) => Item::Tombstone,
        _ => return None,
    };
    reader.end().ok()?;
    Some(item)
}

/// The encoded record of an item that is a value.
pub(super) fn value_bytes(bytes: &Bytes) -> Option<Bytes> {
    let mut reader = Reader::new(bytes);
    if (reader.array().ok()?, reader.uint().ok()?) != (4, VALUE) {
        return None;
    }
    let (_version, _asked_at) = (reader.uint().ok()?, reader.uint().ok()?);
    Some(bytes.slice_ref(reader.bytes().ok()?))
}
