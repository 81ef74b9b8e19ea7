//! What the application is made of, and which request goes where.

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_extractor_with_state, from_fn, map_response};
use axum::response::Response;
use axum::routing::{get, post};
use session_runtime::{CascadeStore, SessionLayer, SessionState, StatefulRouterExt};

use crate::auth::{self, SignedIn};
use crate::error::{self, Error};
use crate::passwords::Passwords;
use crate::users::Users;
use crate::{cart, pages};

/// The longest a request may take, and the largest form, in bytes.
pub const LONGEST_REQUEST: Duration = Duration::from_secs(20);
const LARGEST_FORM: usize = 16 << 10;

/// What handlers share. Clones are cheap.
#[derive(Clone)]
pub struct App {
    pub users: Users,
    pub passwords: Passwords,
}

impl SessionState for App {
    type Store = CascadeStore;
}

pub fn router(app: App, store: &CascadeStore) -> Router {
    // A guard for all routes of a router; a single handler takes `SignedIn` itself, as `auth::account` does.
    let for_users = Router::new()
        .route("/order", post(cart::order))
        .route_layer(from_extractor_with_state::<SignedIn, _>(app.clone()));
    Router::new()
        .route("/", get(cart::shop))
        .route("/cart/add", post(cart::add))
        .route("/cart/remove", post(cart::remove))
        .route("/sign-up", get(auth::sign_up_form).post(auth::sign_up))
        .route("/sign-in", get(auth::sign_in_form).post(auth::sign_in))
        .route("/sign-out", post(auth::sign_out))
        .route("/account", get(auth::account))
        .merge(for_users)
        .layer(from_fn(in_time))
        .layer(DefaultBodyLimit::max(LARGEST_FORM))
        .session_layer(sessions(store))
        // What follows has no session.
        .route("/style.css", get(pages::style))
        .fallback(async || error::page(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(async || error::page(StatusCode::METHOD_NOT_ALLOWED))
        .layer(map_response(with_security_headers))
        .with_state(app)
}

/// The sessions, with pages of ours where one cannot be read or written.
fn sessions(store: &CascadeStore) -> SessionLayer {
    store
        .layer()
        .with_rejection_response(|rejection, _| error::page(rejection.status()))
        .with_error_response(|failure| error::page(failure.error.status()))
}

/// Drops a handler that takes too long. It is inside the session layer, and answers 503, so that nothing which the
/// handler had changed is kept.
pub async fn in_time(request: Request, next: Next) -> Result<Response, Error> {
    let response = tokio::time::timeout(LONGEST_REQUEST, next.run(request)).await;
    response.map_err(|_| Error::Busy)
}

/// Nothing but this site's own style and forms; nobody may frame it. `Strict-Transport-Security` is for whoever ends TLS.
async fn with_security_headers(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 5] = [
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'",
        ),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
