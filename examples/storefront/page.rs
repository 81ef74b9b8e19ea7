//! The page that people use: three files that are part of the program.

use axum::Router;
use axum::http::HeaderName;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::routing::get;
use session_runtime::CascadeStore;

/// Nothing but the shop's own script, style and API; nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn routes() -> Router<CascadeStore> {
    Router::new()
        .route("/", get(file("text/html; charset=utf-8", include_str!("page.html"))))
        .route(
            "/page.css",
            get(file("text/css; charset=utf-8", include_str!("page.css"))),
        )
        .route(
            "/page.js",
            get(file("text/javascript; charset=utf-8", include_str!("page.js"))),
        )
}

type File = ([(HeaderName, &'static str); 2], &'static str);

fn file(kind: &'static str, content: &'static str) -> File {
    ([(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, POLICY)], content)
}
