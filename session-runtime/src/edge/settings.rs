//! The options of a layer.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use http::request::Parts;

use super::cookie::CookieOptions;
use super::header::HeaderCarrier;
use super::rejection::SessionRejection;
use crate::cascade::inner::StoreInner;
use crate::request::CommitFailure;

/// What the layer and its services share.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) store: Arc<StoreInner>,
    pub(super) cookies: CookieOptions,
    /// Carries the tokens instead of cookies.
    pub(super) header: Option<HeaderCarrier>,
    pub(super) server_timing: bool,
    pub(super) commit_if: fn(&Response) -> bool,
    pub(super) on_error: Arc<dyn Fn(CommitFailure) -> Response + Send + Sync>,
    pub(super) on_rejection: Option<OnRejection>,
}

impl Settings {
    /// Whether they find a session where these do: in the same header, under the same name.
    pub(super) fn finds_the_same(&self, other: &Self) -> bool {
        self.header == other.header && self.cookies.name("") == other.cookies.name("")
    }
}

pub(super) type OnRejection = Arc<dyn Fn(&SessionRejection, &Parts) -> Response + Send + Sync>;

/// The default rule of which responses commit.
pub(super) fn commit_if(response: &Response) -> bool {
    let status = response.status();
    !status.is_server_error() && status != StatusCode::REQUEST_TIMEOUT
}
