//! The cookie: `base64url(sid[16] ‖ secret[16] ‖ mac[16])`, 64 characters.
//!
//! The sid finds the record and is no credential. The secret is, and only its hash is stored. The MAC, bound to the
//! cookie's name, turns away what this server never gave out before any tier is asked.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};

use super::options::CookieOptions;
use crate::keys::{KeyRing, Use};
use crate::session::meta::SecretHash;

pub use ::cookie::SameSite;

const PART: usize = 16;
const LEN: usize = 64;
/// How many cookies of one name are looked at: a browser sends more than one where paths or domains differ.
const MOST: usize = 8;

/// What a browser shows to get its session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionToken {
    sid: [u8; PART],
    secret: [u8; PART],
}

/// Neither part is anyone's to read.
impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(..)")
    }
}

impl SessionToken {
    /// A token that nobody can guess.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let (mut sid, mut secret) = ([0; PART], [0; PART]);
        getrandom::fill(&mut sid)?;
        getrandom::fill(&mut secret)?;
        Ok(Self { sid, secret })
    }

    /// A token to the same session with another secret.
    pub(crate) fn with_new_secret(self) -> Result<Self, getrandom::Error> {
        Self::random().map(|random| Self {
            sid: self.sid,
            ..random
        })
    }

    /// A token with the same secret to another session.
    pub(crate) fn with_new_sid(self) -> Result<Self, getrandom::Error> {
        Self::random().map(|random| Self {
            secret: self.secret,
            ..random
        })
    }

    /// The sid as it stands in storage keys.
    pub(crate) fn sid(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.sid)
    }

    pub(crate) fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.secret).into())
    }

    fn value(&self, keys: &KeyRing, name: &str) -> String {
        let mac = keys.sign(Use::Cookie, &[name.as_bytes(), b"=", &self.sid, &self.secret]);
        let mut bytes = [0; 3 * PART];
        bytes[..PART].copy_from_slice(&self.sid);
        bytes[PART..2 * PART].copy_from_slice(&self.secret);
        bytes[2 * PART..].copy_from_slice(&mac[..PART]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn parse(keys: &KeyRing, name: &str, value: &[u8]) -> Option<Self> {
        if value.len() != LEN {
            return None;
        }
        let bytes: [u8; 3 * PART] = URL_SAFE_NO_PAD.decode(value).ok()?.try_into().ok()?;
        let (sid, rest) = bytes.split_first_chunk::<PART>()?;
        let (secret, mac) = rest.split_first_chunk::<PART>()?;
        let parts = [name.as_bytes(), b"=", sid, secret];
        keys.verify(Use::Cookie, None, &parts, mac).then_some(Self {
            sid: *sid,
            secret: *secret,
        })
    }
}

/// What the request's cookies say of one session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestCookie {
    /// The token, if there is one that this server gave out.
    pub(crate) token: Option<SessionToken>,
    /// Whether there is any cookie of that name.
    pub(crate) any: bool,
}

/// Finds the token among the request's cookies.
pub(crate) fn presented(headers: &HeaderMap, keys: &KeyRing, name: &str) -> RequestCookie {
    // Bytes, since the header is shared: a letter beyond ASCII in another's cookie must not cost us ours.
    let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let pairs = lines
        .flat_map(|line| line.split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii);
    let mut values = pairs
        .filter_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .take(MOST)
        .peekable();
    let any = values.peek().is_some();
    RequestCookie {
        token: values.find_map(|value| SessionToken::parse(keys, name, value)),
        any,
    }
}

/// The `Set-Cookie` that gives a token to the browser, for so many seconds.
pub(crate) fn cookie_action(
    options: &CookieOptions,
    keys: &KeyRing,
    name: &str,
    token: &SessionToken,
    max_age: i64,
) -> Option<HeaderValue> {
    options.header(name, token.value(keys, name), max_age)
}

/// The `Set-Cookie` that takes it away; browsers ignore one whose attributes differ from those of the cookie_action.
pub(crate) fn removal(options: &CookieOptions, name: &str) -> Option<HeaderValue> {
    options.header(name, String::new(), 0)
}
