use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use crate::cascade::{CommitError, LoadError};
use crate::tier::Tiers;

/// When to try again after a 503, in seconds.
const TRY_AGAIN_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a handler could not be given its session.
///
/// | what | status |
/// |---|---|
/// | no tier could tell whether there is such a session | 503 with `Retry-After` |
/// | what is stored does not decode | 500 |
/// | the router has no session layer, or its store lacks a tier | 500 |
///
/// The body says which session it was about, and nothing of what it holds; the cause is logged.
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
            return unavailable(error);
        }
        tracing::error!(error, "a handler could not be given its session");
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

/// | what | status |
/// |---|---|
/// | [`Gone`](CommitError::Gone), [`Conflict`](CommitError::Conflict) | 409 |
/// | [`TooLarge`](CommitError::TooLarge) | 413 |
/// | [`Unavailable`](CommitError::Unavailable), [`Unknown`](CommitError::Unknown) | 503 with `Retry-After` |
/// | [`Field`](CommitError::Field), [`Open`](CommitError::Open) | 500 |
impl IntoResponse for CommitError {
    fn into_response(self) -> Response {
        match &self {
            Self::Gone { .. } | Self::Conflict { .. } => (StatusCode::CONFLICT, self.to_string()).into_response(),
            Self::TooLarge { .. } => {
                tracing::warn!(error = &self as &dyn std::error::Error, "a session has grown too large");
                (StatusCode::PAYLOAD_TOO_LARGE, self.to_string()).into_response()
            }
            Self::Unavailable { .. } | Self::Unknown { .. } => {
                tracing::warn!(
                    error = &self as &dyn std::error::Error,
                    "a session could not be written"
                );
                unavailable(&self)
            }
            Self::Field { .. } | Self::Open { .. } => {
                tracing::error!(
                    error = &self as &dyn std::error::Error,
                    "a session could not be written"
                );
                (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
            }
        }
    }
}

fn unavailable(error: &dyn std::error::Error) -> Response {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(RETRY_AFTER, TRY_AGAIN_AFTER)],
        error.to_string(),
    )
        .into_response()
}
