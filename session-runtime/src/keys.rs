//! The key ring: what signs cookies and what is stored.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The least that a key must have: as much as SHA-256 puts out (RFC 2104, section 3).
const MIN_KEY_LEN: usize = 32;

/// The keys of a store, newest first: the first one signs, all of them verify.
///
/// To rotate keys, put a new one in front and keep the old ones for as long as a session may live;
/// [`old_key_uses`](crate::CascadeStore::old_key_uses) tells whether they are still needed. `Debug` shows nothing of them.
#[derive(Clone)]
pub struct KeyRing(std::sync::Arc<[Key]>);

#[derive(Clone)]
struct Key {
    id: KeyId,
    cookie: Hmac<Sha256>,
    record: Hmac<Sha256>,
    csrf: Hmac<Sha256>,
    /// Makes the key of each sealed value from its salt.
    #[cfg(feature = "seal")]
    seal: Hmac<Sha256>,
}

/// Four bytes that tell the keys of a ring apart, and nothing about them.
pub(crate) type KeyId = [u8; 4];

/// What a key is used for; each use has a key of its own, derived with HKDF (RFC 5869).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use {
    /// To sign tokens.
    Token,
    /// To authenticate what leaves the process.
    Record,
    /// To make CSRF tokens.
    Csrf,
}

impl Use {
    /// What it is called in metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Record => "record",
            Self::Csrf => "csrf",
        }
    }
}

/// Which key of a ring has signed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignedBy {
    /// The one that signs today.
    Newest,
    /// One that is kept for what it has signed before.
    Older,
}

/// Why there is no key ring.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The environment variable is not set.
    #[error("{0} is not set: give it base64 keys of 32 bytes or more, newest first, with commas between them")]
    Unset(String),
    /// A ring needs a key.
    #[error("no key was given")]
    Empty,
    /// A key is not base64. Counted from 1.
    #[error("key {0} is not base64")]
    NotBase64(usize),
    /// A key is too short. Counted from 1.
    #[error("key {number} has {len} bytes, it must have 32 or more: `openssl rand -base64 32` makes one")]
    TooShort {
        /// Which key.
        number: usize,
        /// Its length in bytes.
        len: usize,
    },
    /// The system has no randomness to give.
    #[error("the system gave no random bytes")]
    Random(#[source] getrandom::Error),
}

impl KeyRing {
    /// A ring of keys of 32 bytes or more each, newest first.
    pub fn new<K: AsRef<[u8]>>(keys: impl IntoIterator<Item = K>) -> Result<Self, KeyError> {
        let keys = keys
            .into_iter()
            .enumerate()
            .map(|(at, key)| Key::derive(at + 1, key.as_ref()));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            Err(KeyError::Empty)
        } else {
            Ok(Self(keys.into()))
        }
    }

    /// A ring of base64 keys (either alphabet, padded or not) with commas between them, newest first.
    pub fn from_base64(keys: &str) -> Result<Self, KeyError> {
        let words = keys
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .enumerate();
        let keys = words.map(|(at, word)| decode(word).ok_or(KeyError::NotBase64(at + 1)));
        Self::new(keys.collect::<Result<Vec<_>, _>>()?)
    }

    /// The ring that an environment variable holds, in the form of [`from_base64`](Self::from_base64).
    pub fn from_env(variable: &str) -> Result<Self, KeyError> {
        match std::env::var(variable) {
            Ok(keys) if !keys.trim().is_empty() => Self::from_base64(&keys),
            _ => Err(KeyError::Unset(variable.to_owned())),
        }
    }

    /// A ring of one random key, which nothing that outlives the process may depend on.
    pub fn random() -> Result<Self, KeyError> {
        let mut key = [0; MIN_KEY_LEN];
        getrandom::fill(&mut key).map_err(KeyError::Random)?;
        Self::new([key])
    }

    /// What the newest key is called.
    pub(crate) fn newest(&self) -> KeyId {
        // `new` refuses a ring without keys.
        self.0[0].id
    }

    /// Whether a key of the ring is called this.
    pub(crate) fn knows(&self, id: KeyId) -> bool {
        self.0.iter().any(|key| key.id == id)
    }

    /// Signs with the newest key.
    pub(crate) fn sign(&self, role: Use, parts: &[&[u8]]) -> [u8; 32] {
        self.0[0].mac(role, parts).finalize().into_bytes().into()
    }

    /// Which key (only the one called `id` is tried, where that is known) has signed this. `tag` may be cut short.
    pub(crate) fn verify(&self, role: Use, id: Option<KeyId>, parts: &[&[u8]], tag: &[u8]) -> Option<SignedBy> {
        let mut keys = self.0.iter().enumerate();
        let (at, _) = keys.find(|(_, key)| {
            id.is_none_or(|id| id == key.id) && key.mac(role, parts).verify_truncated_left(tag).is_ok()
        })?;
        Some(if at == 0 { SignedBy::Newest } else { SignedBy::Older })
    }
}

#[cfg(feature = "seal")]
impl KeyRing {
    /// The key that seals the value with this salt today.
    pub(crate) fn sealing_key(&self, salt: &[u8]) -> [u8; 32] {
        self.0[0].sealing_key(salt)
    }

    /// The key that sealed the value with this salt, where the key called `id` is in the ring.
    pub(crate) fn opening_key(&self, id: KeyId, salt: &[u8]) -> Option<([u8; 32], SignedBy)> {
        let (at, key) = self.0.iter().enumerate().find(|(_, key)| key.id == id)?;
        let signed_by = if at == 0 { SignedBy::Newest } else { SignedBy::Older };
        Some((key.sealing_key(salt), signed_by))
    }
}

impl Key {
    /// A key for one value: HMAC-SHA-256 as a pseudo-random function of the salt (NIST SP 800-108, section 4.1).
    #[cfg(feature = "seal")]
    fn sealing_key(&self, salt: &[u8]) -> [u8; 32] {
        let mut mac = self.seal.clone();
        mac.update(salt);
        mac.finalize().into_bytes().into()
    }

    fn derive(number: usize, key: &[u8]) -> Result<Self, KeyError> {
        let too_short = KeyError::TooShort { number, len: key.len() };
        if key.len() < MIN_KEY_LEN {
            return Err(too_short);
        }
        let hkdf = Hkdf::<Sha256>::new(None, key);
        let expand = |info: &[u8]| {
            let mut out = [0; 32];
            hkdf.expand(info, &mut out).map(|()| out).ok()
        };
        let mac = |info: &[u8]| Hmac::<Sha256>::new_from_slice(&expand(info)?).ok();
        let derived = || {
            let id = expand(b"session-runtime key id")?;
            Some(Self {
                id: [id[0], id[1], id[2], id[3]],
                cookie: mac(b"session-runtime cookie")?,
                record: mac(b"session-runtime record")?,
                csrf: mac(b"session-runtime csrf")?,
                #[cfg(feature = "seal")]
                seal: mac(b"session-runtime seal")?,
            })
        };
        derived().ok_or(too_short)
    }

    fn mac(&self, role: Use, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = match role {
            Use::Token => self.cookie.clone(),
            Use::Record => self.record.clone(),
            Use::Csrf => self.csrf.clone(),
        };
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

fn decode(word: &str) -> Option<Vec<u8>> {
    [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD]
        .iter()
        .find_map(|engine| engine.decode(word).ok())
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.0.len())
    }
}
