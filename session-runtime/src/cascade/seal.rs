//! The sealed form of what a store writes to a tier: `COSE_Encrypt0` (RFC 9052, section 5.2) with AES-256-GCM.
//!
//! Each value has a key of its own, made from the ring's and a random salt, so that no key ever meets a nonce twice. The
//! storage key is the external data, as it is of a MAC.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use bytes::Bytes;

use crate::cbor::Reader;
use crate::cbor::head::{Major, push_array, push_bytes, push_head, push_tag, push_text, push_uint};
use crate::keys::{KeyId, KeyRing, SignedBy};

/// `COSE_Encrypt0` (RFC 9052, section 2).
const TAG: u64 = 16;
/// The protected header `{1: 3}`: the algorithm is `A256GCM` (RFC 9053, section 4.1).
const PROTECTED: &[u8] = &[0xa1, 0x01, 0x03];
/// The unprotected header's key identifier and initialization vector (RFC 9052, section 3.1).
const KID: u64 = 4;
const IV: u64 = 5;
/// The head of -20, the unprotected header's salt (RFC 9053, section 5.1).
const SALT: u8 = 0x33;
const IV_LEN: usize = 12;
const SALT_LEN: usize = 16;
/// What AES-GCM adds to its plaintext.
const AUTHENTICATOR_LEN: usize = 16;
/// The most bytes that the form adds to its payload.
const OVERHEAD: usize = 80;

/// A sealed value, as it is stored.
pub(super) struct Sealed<'a> {
    /// What the key is called.
    pub(super) id: KeyId,
    iv: [u8; IV_LEN],
    salt: &'a [u8],
    ciphertext: &'a [u8],
}

/// Seals a payload to be stored under `key`: the `len` bytes that `write` appends.
///
/// `None` where the system has no randomness to give, or for more than 64 GiB, which AES-GCM does not take.
pub(super) fn seal(keys: &KeyRing, key: &str, len: usize, write: impl FnOnce(&mut Vec<u8>)) -> Option<Bytes> {
    let mut random = [0; IV_LEN + SALT_LEN];
    getrandom::fill(&mut random).ok()?;
    let (iv, salt) = random.split_first_chunk::<IV_LEN>()?;
    let mut payload = Vec::with_capacity(len);
    write(&mut payload);
    let cipher = Aes256Gcm::new(&keys.sealing_key(salt).into());
    let aad = encryption_structure(key);
    let message = Payload {
        msg: &payload,
        aad: &aad,
    };
    let ciphertext = cipher.encrypt(&(*iv).into(), message).ok()?;
    let mut out = Vec::with_capacity(ciphertext.len() + OVERHEAD);
    push_tag(&mut out, TAG);
    push_array(&mut out, 3);
    push_bytes(&mut out, PROTECTED);
    push_head(&mut out, Major::Map, 3);
    push_uint(&mut out, KID);
    push_bytes(&mut out, &keys.newest());
    push_uint(&mut out, IV);
    push_bytes(&mut out, iv);
    out.push(SALT);
    push_bytes(&mut out, salt);
    push_bytes(&mut out, &ciphertext);
    Some(out.into())
}

/// Opens a sealed value, if a key of the ring has sealed it for the storage key `key`; tells which one.
pub(super) fn open(keys: &KeyRing, key: &str, sealed: &Sealed<'_>) -> Option<(Bytes, SignedBy)> {
    let (opening_key, signed_by) = keys.opening_key(sealed.id, sealed.salt)?;
    let aad = encryption_structure(key);
    let message = Payload {
        msg: sealed.ciphertext,
        aad: &aad,
    };
    let payload = Aes256Gcm::new(&opening_key.into()).decrypt(&sealed.iv.into(), message);
    Some((payload.ok()?.into(), signed_by))
}

/// The parts of a sealed value; `None` where it is none.
pub(super) fn parse(envelope: &[u8]) -> Option<Sealed<'_>> {
    let mut reader = Reader::new(envelope);
    if reader.tag().ok()? != TAG {
        return None;
    }
    reader.expect_array(3).ok()?;
    if reader.bytes().ok()? != PROTECTED || reader.map().ok()? != 3 || reader.uint().ok()? != KID {
        return None;
    }
    let id = reader.bytes().ok()?.try_into().ok()?;
    if reader.uint().ok()? != IV {
        return None;
    }
    let iv = reader.bytes().ok()?.try_into().ok()?;
    if !reader.skip_prefix(&[SALT]) {
        return None;
    }
    let salt = reader.bytes().ok().filter(|salt| salt.len() == SALT_LEN)?;
    let ciphertext = reader.bytes().ok().filter(|text| text.len() >= AUTHENTICATOR_LEN)?;
    reader.end().ok()?;
    Some(Sealed {
        id,
        iv,
        salt,
        ciphertext,
    })
}

/// The `Enc_structure` (RFC 9052, section 5.3).
fn encryption_structure(key: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + 24);
    push_array(&mut out, 3);
    push_text(&mut out, "Encrypt0");
    push_bytes(&mut out, PROTECTED);
    push_bytes(&mut out, key.as_bytes());
    out
}
