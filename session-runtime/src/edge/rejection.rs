use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use crate::cascade::{CommitError, LoadError};
use crate::tier::Tiers;

/// When to try again after a 503, in seconds: most outages that answer quickly are short.
const TRY_AGAIN_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a handler could not be given its session.
///
/// | what | status |
/// |---|---|
/// | no tier could tell whether there is such a session | 503 with `Retry-After` |
/// | what is stored does not decode | 500 |
/// | the router has no session layer, its store lacks a tier, two stores are nested, two structs share a name | 500 |
///
/// The body is the status' own phrase and nothing else; the cause is logged.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionRejection {
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
    /// The store of the router's layer is not the one that its state names: it lacks a tier.
    #[error("the session `{session}` needs {missing:?}, which the store of this router's layer does not have")]
    NoTier {
        /// The session's name.
        session: &'static str,
        /// The tiers that are missing.
        missing: Tiers,
    },
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        let error = &self as &dyn std::error::Error;
        if let Self::Load(LoadError::Unavailable { .. }) = &self {
            tracing::warn!(error, "a session could not be read");
            return plain(StatusCode::SERVICE_UNAVAILABLE);
        }
        tracing::error!(error, "a handler could not be given its session");
        plain(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// | what | status |
/// |---|---|
/// | [`Gone`](CommitError::Gone), [`Superseded`](CommitError::Superseded), [`Conflict`](CommitError::Conflict) | 409 |
/// | [`TooLarge`](CommitError::TooLarge) | 413 |
/// | [`Unavailable`](CommitError::Unavailable), [`Unknown`](CommitError::Unknown) | 503 with `Retry-After` |
/// | [`Field`](CommitError::Field), [`Open`](CommitError::Open), [`TooLate`](CommitError::TooLate) | 500 |
///
/// The body is the status' own phrase and nothing else; the cause is logged.
impl IntoResponse for CommitError {
    fn into_response(self) -> Response {
        let error = &self as &dyn std::error::Error;
        match &self {
            Self::Gone { .. } | Self::Superseded { .. } | Self::Conflict { .. } => {
                tracing::info!(error, "a session was not written");
                plain(StatusCode::CONFLICT)
            }
            Self::TooLarge { .. } => {
                tracing::warn!(error, "a session was not written");
                plain(StatusCode::PAYLOAD_TOO_LARGE)
            }
            Self::Unavailable { .. } | Self::Unknown { .. } => {
                tracing::warn!(error, "a session could not be written");
                plain(StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::Field { .. } | Self::Open { .. } | Self::TooLate { .. } => {
                tracing::error!(error, "a session could not be written");
                plain(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
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
