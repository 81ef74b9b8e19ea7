//! A page for each failure: what happened, and the way back.

use askama::Template;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderName, StatusCode};
use axum::response::Response;

use super::page::html;
use super::steps::{SERVER_TIMING, Steps};

/// What is kept of the headers of a failure.
const KEPT: [HeaderName; 3] = [RETRY_AFTER, SET_COOKIE, SERVER_TIMING];

#[derive(Template)]
#[template(path = "storefront/problem.html")]
struct Problem {
    title: &'static str,
    text: &'static str,
    /// What the session did meanwhile.
    steps: Option<Steps>,
}

pub(crate) async fn no_such_page() -> StatusCode {
    StatusCode::NOT_FOUND
}

/// Puts a page in place of a failure's plain text.
pub(crate) async fn explain(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if is_page || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (title, text) = words(status);
    let steps = Steps::of_response(response.headers());
    let mut page = html(status, &Problem { title, text, steps });
    for name in KEPT {
        for value in response.headers().get_all(&name) {
            page.headers_mut().append(&name, value.clone());
        }
    }
    page
}

fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::FORBIDDEN => (
            "This form is out of date",
            "You have signed in or out since its page was made, or the browser did not send the shop's cookie. Nothing was \
             changed. Go back, and send the form again.",
        ),
        StatusCode::NOT_FOUND => ("There is no such page", "The address may be mistyped, or old."),
        StatusCode::CONFLICT => (
            "Another request was faster",
            "Your session was changed or ended meanwhile. Nothing of this request was saved. Go back, and try again.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => (
            "That is too much",
            "A session holds a few thousand characters. Nothing of this request was saved. Remove a line of the cart first.",
        ),
        StatusCode::SERVICE_UNAVAILABLE => (
            "The shop cannot reach its sessions",
            "What you asked for was not done, or in part. Try again in a moment.",
        ),
        _ if status.is_server_error() => (
            "The request failed",
            "What its handler had changed is dropped: a session is saved with a success, or not at all.",
        ),
        _ => (
            "The shop cannot read that",
            "Nothing was changed. Go back, and try again.",
        ),
    }
}
