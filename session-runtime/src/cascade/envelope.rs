//! The authenticated envelope of everything that a store writes to a tier: `COSE_Mac0` (RFC 9052, section 6.2) with
//! HMAC-SHA-256.
//!
//! The storage key is the external data of the MAC, so that a value that is copied to another key does not verify. The
//! payload is not encrypted: any COSE or CBOR tool reads it. A store that seals writes the other form in its place
//! (`seal`), and reads both.

use bytes::Bytes;

use crate::cbor::Reader;
use crate::cbor::head::{Major, head_len, push_array, push_bytes, push_head, push_tag, push_text, push_uint};
use crate::keys::{KeyId, KeyRing, SignedBy, Use};

/// `COSE_Mac0` (RFC 9052, section 2).
const TAG: u64 = 17;
/// The protected header `{1: 5}`: the algorithm is HMAC 256/256 (RFC 9053, section 3.1).
const PROTECTED: &[u8] = &[0xa1, 0x01, 0x05];
/// The unprotected header's key identifier (RFC 9052, section 3.1).
const KID: u64 = 4;
/// How many bytes an envelope adds to its payload, the head of the payload apart: tag, array, protected and unprotected
/// header, MAC.
const OVERHEAD: usize = 1 + 1 + 4 + (1 + 1 + 5) + 34;

/// Wraps a payload to be stored under `key`: the `len` bytes that `write` appends.
pub(crate) fn wrap(keys: &KeyRing, key: &str, len: usize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::with_capacity(OVERHEAD + head_len(len as u64) + len);
    push_tag(&mut out, TAG);
    push_array(&mut out, 4);
    push_bytes(&mut out, PROTECTED);
    push_head(&mut out, Major::Map, 1);
    push_uint(&mut out, KID);
    push_bytes(&mut out, &keys.newest());
    push_head(&mut out, Major::Bytes, len as u64);
    let start = out.len();
    write(&mut out);
    debug_assert_eq!(out.len() - start, len, "the payload has the length that was passed in");
    let tag = keys.sign(Use::Record, &[&mac_structure(key, len), &out[start..]]);
    push_bytes(&mut out, &tag);
    debug_assert_eq!(
        out.len(),
        out.capacity(),
        "no byte is left over, which `Bytes` would allocate for"
    );
    out.into()
}

/// The payload, if a key of the ring has wrapped it for the storage key `key`, and which one has.
pub(crate) fn unwrap(keys: &KeyRing, key: &str, envelope: &Bytes) -> Option<(Bytes, SignedBy)> {
    #[cfg(feature = "seal")]
    if let Some(sealed) = super::seal::parse(envelope) {
        return super::seal::open(keys, key, &sealed);
    }
    let (payload, id, tag) = parse(envelope)?;
    if tag.len() != 32 {
        return None;
    }
    let head = mac_structure(key, payload.len());
    let signed_by = keys.verify(Use::Record, Some(id), &[&head, payload], tag)?;
    Some((envelope.slice_ref(payload), signed_by))
}

/// Whether it is an envelope that names a key which is not in the ring.
pub(crate) fn is_of_unknown_key(keys: &KeyRing, envelope: &[u8]) -> bool {
    let id = parse(envelope).map(|(_, id, _)| id);
    #[cfg(feature = "seal")]
    let id = id.or_else(|| super::seal::parse(envelope).map(|sealed| sealed.id));
    id.is_some_and(|id| !keys.knows(id))
}

/// The payload of an envelope without a check of its MAC, for inspection; `None` where it is sealed.
pub fn payload(envelope: &[u8]) -> Option<&[u8]> {
    parse(envelope).map(|(payload, ..)| payload)
}

fn parse(envelope: &[u8]) -> Option<(&[u8], KeyId, &[u8])> {
    let mut reader = Reader::new(envelope);
    if reader.tag().ok()? != TAG {
        return None;
    }
    reader.expect_array(4).ok()?;
    if reader.bytes().ok()? != PROTECTED || reader.map().ok()? != 1 || reader.uint().ok()? != KID {
        return None;
    }
    let id = reader.bytes().ok()?.try_into().ok()?;
    let payload = reader.bytes().ok()?;
    let tag = reader.bytes().ok()?;
    reader.end().ok()?;
    Some((payload, id, tag))
}

/// The `MAC_structure` (RFC 9052, section 6.3) up to where the payload begins.
fn mac_structure(key: &str, payload: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 32);
    push_array(&mut out, 4);
    push_text(&mut out, "MAC0");
    push_bytes(&mut out, PROTECTED);
    push_bytes(&mut out, key.as_bytes());
    push_head(&mut out, Major::Bytes, payload as u64);
    out
}
