//! Cookies: the token that a request carries, and the `Set-Cookie` of its response.

use std::borrow::Cow;

use ::cookie::Cookie;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::keys::KeyRing;
use crate::request::Presented;
use crate::session::{self, CookieSpec};

pub use ::cookie::SameSite;

/// Why cookies with these attributes cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// Browsers take `SameSite=None` with `Secure` only.
    #[error("`SameSite=None` needs `Secure`: browsers refuse the cookie otherwise; leave `without_secure` out")]
    SameSiteNoneWithoutSecure,
    /// Browsers take `Partitioned` with `Secure` only (CHIPS).
    #[error("`Partitioned` needs `Secure`: browsers refuse the cookie otherwise; leave `without_secure` out")]
    PartitionedWithoutSecure,
    /// A path begins with `/`, and has neither `;` nor control characters nor letters beyond ASCII.
    #[error(
        "the path {0:?} cannot stand in a cookie: it must begin with `/`, and percent-encode `;` and what is not printable ASCII"
    )]
    Path(String),
    /// A domain is a host name.
    #[error("the domain {0:?} cannot stand in a cookie: it must be a host name, in its ASCII form (`xn--…`)")]
    Domain(String),
}

/// The attributes of the cookies. The default is `__Host-` before the name, `Secure`, `HttpOnly`, `SameSite=Lax` and
/// `Path=/`.
///
/// The combinations that browsers refuse (RFC 6265bis, section 4.1.3) cannot be made: the prefix goes where a domain
/// or a path is set, or `Secure` is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the attributes that a cookie has or has not"
)]
pub struct CookieOptions {
    path: String,
    domain: Option<String>,
    secure: bool,
    http_only: bool,
    same_site: SameSite,
    partitioned: bool,
    session_only: bool,
}

impl Default for CookieOptions {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            domain: None,
            secure: true,
            http_only: true,
            same_site: SameSite::Lax,
            partitioned: false,
            session_only: false,
        }
    }
}

impl CookieOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The paths that get the cookie. Another than `/` gives up the `__Host-` prefix for `__Secure-`.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sends the cookie to the subdomains of `domain` too. Gives up the `__Host-` prefix for `__Secure-`.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Lets the cookie travel over plain HTTP, without any prefix. For development where the browser does not take
    /// `localhost` for secure; never for what the world can reach.
    #[must_use]
    pub fn without_secure(mut self) -> Self {
        self.secure = false;
        self
    }

    /// Lets scripts of the page read the cookie.
    #[must_use]
    pub fn without_http_only(mut self) -> Self {
        self.http_only = false;
        self
    }

    /// Which requests from other sites carry the cookie. `None` needs `Secure`.
    #[must_use]
    pub fn with_same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Gives each site that embeds this one a cookie of its own (CHIPS). Needs `Secure`.
    #[must_use]
    pub fn with_partitioned(mut self) -> Self {
        self.partitioned = true;
        self
    }

    /// Leaves `Max-Age` out: the cookie ends with the browser.
    #[must_use]
    pub fn without_max_age(mut self) -> Self {
        self.session_only = true;
        self
    }

    /// Whether a browser takes cookies with these attributes, and a header can carry them.
    ///
    /// # Errors
    /// Which attribute is wrong, and what it must be.
    pub(super) fn check(&self) -> Result<(), CookieError> {
        if self.same_site == SameSite::None && !self.secure {
            return Err(CookieError::SameSiteNoneWithoutSecure);
        }
        if self.partitioned && !self.secure {
            return Err(CookieError::PartitionedWithoutSecure);
        }
        // `av-octet` of RFC 6265, section 4.1.1, and a path that is one.
        let is_octet = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b';';
        if !self.path.starts_with('/') || !self.path.bytes().all(is_octet) {
            return Err(CookieError::Path(self.path.clone()));
        }
        let is_host = |domain: &String| {
            let labels = domain.strip_prefix('.').unwrap_or(domain).split('.');
            let is_label = |label: &str| {
                let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                !label.is_empty() && label.len() <= 63 && label.bytes().all(is_letter)
            };
            labels.into_iter().all(is_label)
        };
        match &self.domain {
            Some(domain) if !is_host(domain) => Err(CookieError::Domain(domain.clone())),
            _ => Ok(()),
        }
    }

    /// The cookie's name for a session of this name.
    pub(crate) fn name(&self, session: &str) -> String {
        let prefix = match (self.secure, self.path == "/" && self.domain.is_none()) {
            (true, true) => "__Host-",
            (true, false) => "__Secure-",
            (false, _) => "",
        };
        [prefix, session].concat()
    }

    fn header(&self, name: &str, value: String, max_age: Option<i64>) -> Option<HeaderValue> {
        let mut cookie = Cookie::build((name.to_owned(), value))
            .path(self.path.clone())
            .secure(self.secure)
            .http_only(self.http_only)
            .same_site(self.same_site);
        if let Some(domain) = &self.domain {
            cookie = cookie.domain(domain.clone());
        }
        if self.partitioned {
            cookie = cookie.partitioned(true);
        }
        if let Some(max_age) = max_age {
            cookie = cookie.max_age(::cookie::time::Duration::seconds(max_age));
        }
        HeaderValue::try_from(cookie.to_string()).ok()
    }

    /// The options for a type of session that has some of its own.
    pub(super) fn for_type(&self, spec: &CookieSpec) -> Cow<'_, Self> {
        if *spec == CookieSpec::DEFAULT {
            return Cow::Borrowed(self);
        }
        let same_site = spec.same_site.map(|same_site| match same_site {
            session::SameSite::Strict => SameSite::Strict,
            session::SameSite::Lax => SameSite::Lax,
            session::SameSite::None => SameSite::None,
        });
        Cow::Owned(Self {
            path: spec.path.map_or_else(|| self.path.clone(), str::to_owned),
            domain: spec.domain.map(str::to_owned).or_else(|| self.domain.clone()),
            http_only: spec.http_only.unwrap_or(self.http_only),
            same_site: same_site.unwrap_or(self.same_site),
            partitioned: spec.partitioned.unwrap_or(self.partitioned),
            ..*self
        })
    }

    /// The `Set-Cookie` that gives the client a token, for so many seconds or, where it is not `persistent`, until the
    /// browser is closed.
    pub(super) fn set(&self, name: &str, token: String, max_age: i64, persistent: Option<bool>) -> Option<HeaderValue> {
        let is_persistent = persistent.unwrap_or(!self.session_only);
        self.header(name, token, is_persistent.then_some(max_age))
    }

    /// The `Set-Cookie` that removes it; browsers ignore one whose attributes differ from those it was set with.
    pub(super) fn remove(&self, name: &str) -> Option<HeaderValue> {
        self.header(name, String::new(), Some(0))
    }
}

/// The tokens among the request's cookies.
pub(super) fn presented(headers: &HeaderMap, keys: &KeyRing, name: &str, session: &str) -> Presented {
    // As bytes: the header is shared, and a letter beyond ASCII in another application's cookie must not cost this one.
    let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    let pairs = lines
        .flat_map(|line| line.split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii);
    let values = pairs.filter_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
    Presented::find(keys, name, session, values)
}
