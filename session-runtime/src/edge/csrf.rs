//! The extractor of CSRF tokens.

use std::fmt;
use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, StatusCode};

use super::extract::{Serves, extract};
use super::rejection::SessionRejection;
use crate::request::{self, CsrfError, CsrfTokens};
use crate::session::Session;

/// Where scripts put the token.
const HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// The CSRF tokens of session `T`, as an extractor: a form of another site does not know one.
///
/// `SameSite=Lax` cookies keep most requests of other sites away; a token keeps away those of other hosts of the same
/// site too, and those of old browsers. Sessions in a [header](crate::HeaderCarrier) need none.
///
/// ```
/// use axum::extract::{Form, Request};
/// use axum::middleware::Next;
/// use axum::response::{Html, Response};
/// use axum::{Router, routing::get};
/// use session_runtime::{CascadeStore, Csrf, CsrfError, RouterExt, Session, TypedSession};
///
/// #[derive(Session)]
/// #[cascade(memcache, datastore)]
/// struct Shop {
///     note: Option<String>,
/// }
///
/// #[derive(serde::Deserialize)]
/// struct Note {
///     note: String,
///     csrf_token: String,
/// }
///
/// async fn form(csrf: Csrf<Shop>) -> Html<String> {
///     Html(format!("<form method=post>{}<input name=note></form>", csrf.field()))
/// }
///
/// async fn send(csrf: Csrf<Shop>, mut shop: TypedSession<Shop>, Form(form): Form<Note>) -> Result<(), CsrfError> {
///     csrf.verify(&form.csrf_token)?;
///     shop.set_note(Some(form.note));
///     Ok(())
/// }
///
/// /// For scripts, which send the token as `X-CSRF-Token`: a guard of many routes.
/// async fn guard(csrf: Csrf<Shop>, request: Request, next: Next) -> Result<Response, CsrfError> {
///     if !request.method().is_safe() {
///         csrf.verify_header(request.headers())?;
///     }
///     Ok(next.run(request).await)
/// }
///
/// fn app(scripts: Router<CascadeStore>, store: CascadeStore) -> Router {
///     let scripts = scripts.route_layer(store.middleware(guard));
///     Router::new().route("/note", get(form).post(send)).merge(scripts).sessions(store)
/// }
/// ```
///
/// # How long a token counts
/// Tokens are stored nowhere. One belongs to the secret that its session has when the page is made, and counts
/// - until the session's second rotation from then, so that pages which are open survive one;
/// - with the same cookie, whatever has become of the session: the form of a sign-in that was sent twice, or late, counts;
/// - not after a privileged write or [`rotate_now`](crate::TypedSession::rotate_now). So a page that the response of a
///   sign-in shows needs its token after a [`commit`](crate::TypedSession::commit); better, redirect.
///
/// A visitor without a session gets one where a page asks for a [`token`](Self::token), and its cookie with the response.
/// A session that lives in the request's memory alone has no tokens that count.
///
/// It costs what it does: where no handler takes it, nothing; to take it, a load where the session was not loaded yet; to
/// make or to check a token, a MAC.
pub struct Csrf<T> {
    tokens: CsrfTokens,
    session: PhantomData<fn() -> T>,
}

impl<T: Session> Csrf<T> {
    /// The token for a page or a script: 43 letters, digits, `-` and `_`.
    pub fn token(&self) -> String {
        self.tokens.token()
    }

    /// A hidden field for a form, `csrf_token`, with the [`token`](Self::token).
    pub fn field(&self) -> String {
        let token = self.token();
        format!("<input type=\"hidden\" name=\"csrf_token\" value=\"{token}\">")
    }

    /// Whether this token, which came with the request, belongs to the request's session. Compares in constant time.
    ///
    /// # Errors
    /// Where it does not; as a response, that is 403.
    pub fn verify(&self, token: &str) -> Result<(), CsrfError> {
        self.tokens.verify(token.as_bytes())
    }

    /// As [`verify`](Self::verify), for the token in the header `X-CSRF-Token`.
    ///
    /// # Errors
    /// Where there is none too.
    pub fn verify_header(&self, headers: &HeaderMap) -> Result<(), CsrfError> {
        let token = headers.get(HEADER).ok_or(CsrfError::Missing)?;
        self.tokens.verify(token.as_bytes())
    }
}

impl<S, T> FromRequestParts<S> for Csrf<T>
where
    S: Serves<T> + Send + Sync,
    T: Session,
{
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        Ok(Self {
            tokens: extract::<T, _>(parts, request::load_csrf).await?,
            session: PhantomData,
        })
    }
}

impl<T: Session> fmt::Debug for Csrf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Csrf")
            .field("session", &T::SCHEMA.name)
            .finish_non_exhaustive()
    }
}

/// 403, with the status' own phrase and nothing else.
impl IntoResponse for CsrfError {
    fn into_response(self) -> Response {
        tracing::info!(error = &self as &dyn std::error::Error, "a request was refused");
        (StatusCode::FORBIDDEN, "Forbidden").into_response()
    }
}
