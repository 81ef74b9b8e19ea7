//! What went wrong, and the page that says so.

use std::fmt::Write;

use askama::Template;
use axum::extract::rejection::RawFormRejection;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{Html, IntoResponse, Response};
use session_runtime::{CsrfError, SessionRejection};

type Source = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no such thing")]
    NotFound,
    #[error("the form cannot be read")]
    Form(#[from] serde_urlencoded::de::Error),
    #[error(transparent)]
    Body(#[from] RawFormRejection),
    #[error(transparent)]
    Csrf(#[from] CsrfError),
    #[error(transparent)]
    Session(#[from] SessionRejection),
    #[error("there is too much to do")]
    Busy,
    #[error("something is broken")]
    Internal(#[source] Source),
}

impl Error {
    pub fn internal(source: impl Into<Source>) -> Self {
        Self::Internal(source.into())
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match self {
            // The layer has made its page, and this logs why.
            Self::Session(rejection) => return rejection.into_response(),
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Form(_) => StatusCode::BAD_REQUEST,
            Self::Body(ref rejection) => rejection.status(),
            Self::Csrf(_) => StatusCode::FORBIDDEN,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let error = with_causes(&self);
        if status.is_server_error() {
            tracing::error!(error, "a request failed");
        } else {
            tracing::info!(error, "a request was refused");
        }
        page(status)
    }
}

/// An error and what caused it, outermost first.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        // Writing to a string does not fail.
        let _ = write!(out, ": {cause}");
        next = cause.source();
    }
    out
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    title: &'static str,
    advice: &'static str,
}

/// The page of a failure. It needs no session, and tells nothing of the inside.
pub fn page(status: StatusCode) -> Response {
    let (title, advice) = match status {
        StatusCode::NOT_FOUND => ("There is no such page", "It may have moved, or the link is wrong."),
        StatusCode::FORBIDDEN => (
            "This form has expired",
            "You have signed in or out since it was opened, or your browser refuses cookies. Go back, reload, try again.",
        ),
        StatusCode::CONFLICT => (
            "That crossed with something else you did",
            "Nothing was changed by this request. Go back, reload, and try again if it is still needed.",
        ),
        StatusCode::SERVICE_UNAVAILABLE => (
            "We are busy",
            "Nothing is lost: you are still signed in, and your cart is kept. Try again in a moment.",
        ),
        status if status.is_client_error() => ("That did not work", "Go back, reload the page, and try again."),
        _ => (
            "Something is broken on our side",
            "It is not your fault. Try again later.",
        ),
    };
    let page = ErrorPage { title, advice };
    let html = page.render().unwrap_or_else(|_| title.to_owned());
    let mut response = (status, Html(html)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, 2.into());
    }
    response
}
