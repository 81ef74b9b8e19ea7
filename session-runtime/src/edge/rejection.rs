use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use super::cookie::CookieError;
use crate::cascade::{CommitError, LoadError, OwnerError};
use crate::request::{self, CommitFailure, RequestSession, TypedSession};
use crate::session::Session;
use crate::tier::Tiers;

/// When to try again after a 503, in seconds: most outages that answer quickly are short.
const TRY_AGAIN_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a handler could not be given its session. What happened is its [`kind`](Self::kind).
///
/// | what | status |
/// |---|---|
/// | no tier could tell whether there is such a session, or a newer program wrote it | 503 with `Retry-After` |
/// | what is stored does not decode | 500 |
/// | the router has no session layer, its store lacks a tier, two stores are nested, two structs share a name | 500 |
///
/// The body is the status' own phrase and nothing else; the cause is logged. Another response is made by
/// [`with_rejection_response`](crate::SessionLayer::with_rejection_response), or by a handler that takes
/// `Result<TypedSession<T>, SessionRejection>`.
pub struct SessionRejection {
    kind: RejectionKind,
    /// What cannot be read, and may be replaced.
    session: Option<Arc<RequestSession>>,
    /// What the layer was told to answer. Never locked: as an error, a rejection has to be `Sync`, and a body is not.
    response: Option<Box<Mutex<Response>>>,
}

/// What kept a handler from its session.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RejectionKind {
    /// The session could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The router has no session layer.
    #[error(
        "no session layer: end the router with `.sessions(store)`, or add `.session_layer(store)`, for `{session}`"
    )]
    NoLayer {
        /// The session's name.
        session: &'static str,
    },
    /// Two layers with different stores are nested around the handler, so that it cannot be told whose session is meant.
    #[error(
        "two session layers with different stores are nested around the handler of `{session}`: put each on the routes of \
         its own, and join them with `Router::merge`"
    )]
    NestedStores {
        /// The session's name.
        session: &'static str,
    },
    /// Two layers of one store are nested around the handler, of which one carries sessions in cookies and the other in
    /// headers, or in cookies with another prefix; and middleware between them has taken a session.
    #[error(
        "middleware took a session under another layer than the handler of `{session}`, with other cookies or another \
         header: put the layers on routes of their own, and join them with `Router::merge`"
    )]
    NestedCarriers {
        /// The session's name.
        session: &'static str,
    },
    /// Two structs have the same session name in one store: they would share cookie and record.
    #[error("`{one}` and `{other}` are both called `{session}`: give one of them another `#[session(name = ...)]`")]
    SameName {
        /// The session's name.
        session: &'static str,
        /// The type that used the name first.
        one: &'static str,
        /// The type that uses it too.
        other: &'static str,
    },
    /// The cookie that the session's type asks for cannot be set with the layer's options.
    #[error("the cookie of the session `{session}` cannot be set")]
    Cookie {
        /// The session's name.
        session: &'static str,
        /// Why.
        source: CookieError,
    },
    /// The store of the router's layer is not the one that its state names: it lacks a tier.
    #[error(
        "the session `{session}` needs {missing:?}, which the store of this router's layer does not have: give it that tier"
    )]
    NoTier {
        /// The session's name.
        session: &'static str,
        /// The tiers that are missing.
        missing: Tiers,
    },
}

impl SessionRejection {
    pub(super) fn of_session(error: LoadError, session: Arc<RequestSession>) -> Self {
        Self {
            kind: error.into(),
            session: Some(session),
            response: None,
        }
    }

    /// What happened.
    pub fn kind(&self) -> &RejectionKind {
        &self.kind
    }

    /// The status of the response, by what happened: 503 for an outage, and for a record of a newer program, which other
    /// nodes can read; else 500.
    pub fn status(&self) -> StatusCode {
        match &self.kind {
            RejectionKind::Load(LoadError::Unavailable { .. }) => StatusCode::SERVICE_UNAVAILABLE,
            RejectionKind::Load(LoadError::Open { source, .. }) if source.is_newer() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Gives the visitor a new session in place of one that cannot be read: its record does not decode, or was written
    /// under a key that the store no longer has. What is stored is left for the operator. The new session gets a cookie
    /// once something is written to it.
    ///
    /// # Errors
    /// The rejection itself, where it has another cause: an outage may hide a session that is alive.
    ///
    /// ```
    /// # use session_runtime::{RouterExt, Session};
    /// use session_runtime::{SessionRejection, TypedSession};
    ///
    /// #[derive(Session)]
    /// #[cascade(memcache, datastore)]
    /// struct Shop {
    ///     note: Option<String>,
    /// }
    ///
    /// async fn shop(shop: Result<TypedSession<Shop>, SessionRejection>) -> Result<String, SessionRejection> {
    ///     let shop = shop.or_else(|rejection| rejection.replace::<Shop>())?;
    ///     Ok(shop.note().clone().unwrap_or_default())
    /// }
    /// # fn app(store: session_runtime::CascadeStore) -> axum::Router {
    /// #     axum::Router::new().route("/", axum::routing::get(shop)).sessions(store)
    /// # }
    /// ```
    pub fn replace<T: Session>(self) -> Result<TypedSession<T>, Self> {
        match (&self.kind, &self.session) {
            (RejectionKind::Load(LoadError::Unavailable { .. }), _) => Err(self),
            (RejectionKind::Load(_), Some(session)) => request::replace::<T>(Arc::clone(session)).ok_or(self),
            _ => Err(self),
        }
    }

    /// Answers with this response.
    pub(super) fn with_response(mut self, response: Response) -> Self {
        self.response = Some(Box::new(Mutex::new(response)));
        self
    }
}

impl From<RejectionKind> for SessionRejection {
    fn from(kind: RejectionKind) -> Self {
        Self {
            kind,
            session: None,
            response: None,
        }
    }
}

impl fmt::Display for SessionRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Debug for SessionRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionRejection").field(&self.kind).finish()
    }
}

impl std::error::Error for SessionRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.kind.source()
    }
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        let (error, status) = (&self as &dyn std::error::Error, self.status());
        if status == StatusCode::SERVICE_UNAVAILABLE {
            tracing::warn!(error, "a session could not be read");
        } else {
            tracing::error!(error, "a handler could not be given its session");
        }
        let response = self
            .response
            .map(|response| response.into_inner().unwrap_or_else(PoisonError::into_inner));
        response.unwrap_or_else(|| plain(status))
    }
}

impl CommitError {
    /// The status of the response:
    ///
    /// | what | status |
    /// |---|---|
    /// | [`Gone`](Self::Gone), [`Superseded`](Self::Superseded), [`Conflict`](Self::Conflict), [`SignInEnded`](Self::SignInEnded), [`TooManySessions`](Self::TooManySessions) | 409 |
    /// | [`TooLarge`](Self::TooLarge) | 413 |
    /// | [`Unavailable`](Self::Unavailable), [`Unknown`](Self::Unknown), [`Open`](Self::Open) of a newer program's record | 503 with `Retry-After` |
    /// | [`Field`](Self::Field), [`Open`](Self::Open), [`TooLate`](Self::TooLate), [`Owner`](Self::Owner) | 500 |
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Gone { .. }
            | Self::Superseded { .. }
            | Self::Conflict { .. }
            | Self::SignInEnded { .. }
            | Self::TooManySessions { .. } => StatusCode::CONFLICT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable { .. } | Self::Unknown { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Open { source, .. } if source.is_newer() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Field { .. } | Self::Open { .. } | Self::TooLate { .. } | Self::Owner { .. } => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }
}

/// Of this [`status`](CommitError::status), whose phrase is the body; the cause is logged.
impl IntoResponse for CommitError {
    fn into_response(self) -> Response {
        log(self.status(), &self);
        plain(self.status())
    }
}

/// 503 with `Retry-After` where another try may help, else 500; the cause is logged.
impl IntoResponse for OwnerError {
    fn into_response(self) -> Response {
        let status = if self.is_outage() {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        };
        log(status, &self);
        plain(status)
    }
}

/// As that of its [`error`](CommitFailure::error). The layer has logged the cause.
impl IntoResponse for CommitFailure {
    fn into_response(self) -> Response {
        plain(self.error.status())
    }
}

/// Logs why a session was not committed, as gravely as the status is.
pub(super) fn log(status: StatusCode, error: &(dyn std::error::Error + 'static)) {
    match status {
        StatusCode::CONFLICT => tracing::info!(error, "a session was not written"),
        StatusCode::PAYLOAD_TOO_LARGE => tracing::warn!(error, "a session was not written"),
        StatusCode::SERVICE_UNAVAILABLE => tracing::warn!(error, "a session could not be written"),
        _ => tracing::error!(error, "a session could not be written"),
    }
}

/// A response that tells a stranger nothing of the inside.
fn plain(status: StatusCode) -> Response {
    let mut response = (status, status.canonical_reason().unwrap_or_default()).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, TRY_AGAIN_AFTER);
    }
    response
}
