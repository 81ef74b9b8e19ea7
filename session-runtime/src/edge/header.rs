//! The header carrier: tokens in a header of the request, and in one of the response, for clients without cookies.

use http::header::{self, AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::keys::KeyRing;
use crate::request::Presented;

/// What HTTP or the layer itself uses in another way.
const RESERVED: [HeaderName; 14] = [
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::VARY,
];

/// The authentication scheme (RFC 9110, section 11.1) of [`HeaderCarrier::authorization`], which has no case.
const SCHEME: &[u8] = b"session";

/// Why a header cannot carry tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderCarrierError {
    /// A header's name has letters, digits and a few signs, such as `-` (RFC 9110, section 5.6.2).
    #[error("{0:?} is no name of a header: it must have letters, digits and `-` only")]
    Name(String),
    /// HTTP or the layer uses the header in another way.
    #[error("the header `{0}` has another use: take a name of your own, or `HeaderCarrier::authorization()`")]
    Reserved(HeaderName),
}

/// Which headers carry the sessions, for clients without cookies: apps, command lines, other servers.
///
/// A response that begins a session, or gives it a new secret, has a header line for each such session, with
/// `name=token`, where `name` is the session's. The client keeps it, and sends it back as it is. An empty token
/// (`name=`) means that the session has ended, and that the client is to forget its token. Several sessions travel in
/// several lines, or in one with commas between them. A client that has one session may send the token alone;
/// for any other session that a handler takes, it would count as forged.
///
/// | carrier | request | response |
/// |---|---|---|
/// | [`authorization()`](Self::authorization) | `Authorization: Session shop=<token>` | `Session-Token: shop=<token>` |
/// | [`named("x-session")?`](Self::named) | `X-Session: shop=<token>` | `X-Session: shop=<token>` |
///
/// Tokens, keys and rules are those of cookies; but a token is signed for its carrier, so that none counts in the other
/// one. The token has no expiry beside it: the session's own counts.
///
/// # Cookies
/// A layer with a header carrier reads no cookie and sets none, whatever the request has. A browser adds such a header to
/// no request on its own, so that another site cannot make it act for its user (CSRF). To serve browsers and other
/// clients, give each the routes of its own:
///
/// ```
/// use axum::Router;
/// use session_runtime::{CascadeStore, HeaderCarrier, RouterExt};
///
/// fn app(pages: Router<CascadeStore>, api: Router<CascadeStore>, store: CascadeStore) -> Router {
///     let header = HeaderCarrier::authorization();
///     let api = api.sessions(store.layer().with_header(header));
///     pages.sessions(store).nest("/api", api)
/// }
/// ```
///
/// Scripts of another origin read the response's header only where `Access-Control-Expose-Headers` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderCarrier {
    request: HeaderName,
    response: HeaderName,
}

impl HeaderCarrier {
    /// `Authorization: Session <token>` in requests, `Session-Token` in responses. Other schemes are left alone.
    pub fn authorization() -> Self {
        Self {
            request: AUTHORIZATION,
            response: HeaderName::from_static("session-token"),
        }
    }

    /// A header of this name, in requests and in responses.
    ///
    /// # Errors
    /// Where that is no name of a header, or the header has another use.
    pub fn named(name: &str) -> Result<Self, HeaderCarrierError> {
        let header = HeaderName::try_from(name).map_err(|_| HeaderCarrierError::Name(name.to_owned()))?;
        if RESERVED.contains(&header) {
            return Err(HeaderCarrierError::Reserved(header));
        }
        Ok(Self {
            request: header.clone(),
            response: header,
        })
    }

    /// The header of requests, by which responses vary.
    pub(super) fn request_name(&self) -> &HeaderName {
        &self.request
    }

    /// The header of responses.
    pub(super) fn response_name(&self) -> &HeaderName {
        &self.response
    }

    /// The name that the tokens of a session are signed for: `:` is in no cookie's name (RFC 9110, section 5.6.2).
    pub(super) fn token_name(session: &str) -> String {
        format!("header:{session}")
    }

    /// The tokens of the session in the request's headers, signed for `name`.
    pub(super) fn presented(&self, headers: &HeaderMap, keys: &KeyRing, name: &str, session: &str) -> Presented {
        let lines = headers.get_all(&self.request).iter().map(HeaderValue::as_bytes);
        let lists = lines.filter_map(|line| self.without_scheme(line));
        let elements = lists
            .flat_map(|list| list.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|element| !element.is_empty());
        let values = elements.filter_map(|element| {
            if element.contains(&b'=') {
                element.strip_prefix(session.as_bytes())?.strip_prefix(b"=")
            } else {
                Some(element)
            }
        });
        Presented::find(keys, name, session, values)
    }

    fn without_scheme<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        if self.request != AUTHORIZATION {
            return Some(line);
        }
        let (scheme, rest) = line.split_at_checked(SCHEME.len())?;
        (scheme.eq_ignore_ascii_case(SCHEME) && rest.starts_with(b" ")).then_some(rest)
    }

    /// The response's value that gives the client a token of the session `name`; an empty token takes it back.
    pub(super) fn value(name: &str, token: &str) -> Option<HeaderValue> {
        HeaderValue::try_from(format!("{name}={token}")).ok()
    }
}
