//! The session token, `base64url(sid[16] ‖ secret[16] ‖ mac[16])`, 64 characters, in a cookie or a header.
//!
//! The sid finds the record and is no credential. The secret is one, and only its hash is stored. The MAC, bound to the
//! token's name, turns away what this service never issued before any tier is asked.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use crate::keys::{KeyRing, SignedBy, Use};
use crate::session::meta::SecretHash;

const PART: usize = 16;
const LEN: usize = 64;

/// What a client presents to get its session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionToken {
    sid: [u8; PART],
    secret: [u8; PART],
    /// Of the secret, which is asked for several times.
    hash: SecretHash,
}

/// Neither part is printed.
impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(..)")
    }
}

impl SessionToken {
    /// A token that nobody can guess.
    pub fn random() -> Result<Self, getrandom::Error> {
        let (mut sid, mut secret) = ([0; PART], [0; PART]);
        getrandom::fill(&mut sid)?;
        getrandom::fill(&mut secret)?;
        Ok(Self::new(sid, secret))
    }

    fn new(sid: [u8; PART], secret: [u8; PART]) -> Self {
        let hash = SecretHash(Sha256::digest(secret).into());
        Self { sid, secret, hash }
    }

    /// A token of the same session with another secret.
    pub fn with_new_secret(self) -> Result<Self, getrandom::Error> {
        Self::random().map(|random| Self {
            sid: self.sid,
            ..random
        })
    }

    /// A token of another session with the same secret.
    pub fn with_new_sid(self) -> Result<Self, getrandom::Error> {
        let mut sid = [0; PART];
        getrandom::fill(&mut sid)?;
        Ok(Self { sid, ..self })
    }

    /// Whether it is a token of the same session.
    pub fn has_same_sid(&self, other: &Self) -> bool {
        self.sid == other.sid
    }

    /// The key of the session's record in the tiers: a prefix, and the sid.
    pub fn storage_key(&self, prefix: &str) -> String {
        // 16 bytes are 22 letters.
        let mut key = String::with_capacity(prefix.len() + 22);
        key.push_str(prefix);
        URL_SAFE_NO_PAD.encode_string(self.sid, &mut key);
        key
    }

    /// What the record holds of the secret.
    pub fn hash(&self) -> SecretHash {
        self.hash
    }

    /// The token as it is sent to the client under this name, for a session of that one, signed by the newest key.
    pub(crate) fn encode(&self, keys: &KeyRing, name: &str, session: &str) -> String {
        let name = signed_name(name, session);
        let mac = keys.sign(Use::Token, &[name.as_bytes(), b"=", &self.sid, &self.secret]);
        let mut bytes = [0; 3 * PART];
        bytes[..PART].copy_from_slice(&self.sid);
        bytes[PART..2 * PART].copy_from_slice(&self.secret);
        bytes[2 * PART..].copy_from_slice(&mac[..PART]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The token that a client sent, if a key of the ring has signed it for these names, and which one has.
    pub(crate) fn decode(keys: &KeyRing, name: &str, session: &str, value: &[u8]) -> Option<(Self, SignedBy)> {
        if value.len() != LEN {
            return None;
        }
        let mut bytes = [0; 3 * PART];
        // So many letters are so many bytes.
        URL_SAFE_NO_PAD.decode_slice(value, &mut bytes).ok()?;
        let (sid, rest) = bytes.split_first_chunk::<PART>()?;
        let (secret, mac) = rest.split_first_chunk::<PART>()?;
        let name = signed_name(name, session);
        let parts = [name.as_bytes(), b"=", sid, secret];
        let signed_by = keys.verify(Use::Token, None, &parts, mac)?;
        Some((Self::new(*sid, *secret), signed_by))
    }
}

/// What the MAC covers of the names: the token's, and the session's where the two differ by more than a cookie's prefix.
/// `:` is in no cookie's name (RFC 9110, section 5.6.2).
fn signed_name<'a>(name: &'a str, session: &str) -> Cow<'a, str> {
    match name.strip_suffix(session) {
        Some("" | "__Host-" | "__Secure-") => Cow::Borrowed(name),
        _ => Cow::Owned(format!("{name}:{session}")),
    }
}

/// What a request presents for one session.
#[derive(Clone, Debug, Default)]
pub struct Presented {
    /// The tokens that this service issued, in the order in which they were presented, at most [`MAX_TOKENS`].
    pub tokens: SmallVec<[SessionToken; 1]>,
    /// How many of them an older key than the newest has signed.
    pub(crate) old_keys: u8,
    /// Whether a value was presented that no key of the ring has signed.
    pub(crate) is_forged: bool,
    /// Whether anything was presented under the session's name, be it valid or not.
    pub any: bool,
}

/// How many tokens of one name are looked up. A browser sends several cookies of one name where their paths or domains
/// differ, as after a change of the cookie's attributes.
pub const MAX_TOKENS: usize = 4;

impl Presented {
    /// The tokens among these values.
    pub fn find<'a>(keys: &KeyRing, name: &str, session: &str, values: impl Iterator<Item = &'a [u8]>) -> Self {
        /// How many values are verified, at the cost of a MAC each.
        const MAX_VALUES: usize = 32;
        let mut values = values.take(MAX_VALUES).peekable();
        let mut found = Self {
            any: values.peek().is_some(),
            ..Self::default()
        };
        for value in values {
            let Some((token, signed_by)) = SessionToken::decode(keys, name, session, value) else {
                found.is_forged |= !value.is_empty();
                continue;
            };
            if !found.tokens.contains(&token) {
                found.tokens.push(token);
                found.old_keys += u8::from(signed_by == SignedBy::Older);
            }
            if found.tokens.len() == MAX_TOKENS {
                break;
            }
        }
        found
    }
}
