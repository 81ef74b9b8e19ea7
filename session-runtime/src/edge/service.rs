use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderValue, Request};
use tower_service::Service;

use super::layer::Settings;
use super::{cookie, timing};
use crate::cascade::CommitError;
use crate::request::session::{CookieAction, Disposition, RequestSession};
use crate::request::sessions::RequestSessions;
use crate::session::meta::Millis;

/// The service that [`SessionLayer`](super::SessionLayer) makes of another.
#[derive(Clone)]
pub struct SessionService<S> {
    pub(super) inner: S,
    pub(super) settings: Arc<Settings>,
}

impl<S: fmt::Debug> fmt::Debug for SessionService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, B> Service<Request<B>> for SessionService<S>
where
    S: Service<Request<B>> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let settings = Arc::clone(&self.settings);
        let outer = request.extensions().get::<Arc<RequestSessions>>();
        if outer.is_some_and(|sessions| sessions.is_same_layer(&settings.store, &settings.cookies)) {
            // The layer was put on twice: were both to answer, a session would have two sessions, and two cookies.
            let response = self.inner.call(request);
            return Box::pin(async move { response.await.map(IntoResponse::into_response) });
        }
        let sessions = Arc::new(RequestSessions::new(
            Arc::clone(&settings.store),
            Arc::clone(&settings.cookies),
        ));
        request.extensions_mut().insert(Arc::clone(&sessions));
        // Called at once, on the service that was ready.
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await.map(IntoResponse::into_response);
            match response {
                Ok(response) => Ok(finish(&settings, &sessions, response).await),
                Err(error) => {
                    commit(&sessions.take(), Disposition::Discard).await;
                    Err(error)
                }
            }
        })
    }
}

/// Commits the sessions of the request, and has the response tell the browser.
async fn finish(settings: &Settings, sessions: &RequestSessions, mut response: Response) -> Response {
    let sessions = sessions.take();
    if sessions.is_empty() {
        return response;
    }
    let disposition = if response.status().is_server_error() {
        Disposition::Discard
    } else {
        Disposition::Commit
    };
    for error in commit(&sessions, disposition).await {
        // An answer that already reports a failure says more than that a rotation or a destroy failed besides.
        if disposition == Disposition::Commit {
            response = (settings.on_error)(error);
        } else {
            let error = &error as &dyn std::error::Error;
            tracing::error!(
                error,
                "a rotation or a destroy failed beside a response that reports a failure"
            );
        }
    }
    let mut timings = Vec::new();
    for session in &sessions {
        let response_state = session.take_response_state();
        if let Some(cookie_action) = response_state.cookie_action {
            set_cookie(settings, session, cookie_action, &mut response);
        }
        if settings.server_timing && session.was_loaded() {
            timing::describe(
                &mut timings,
                response_state.load.as_ref(),
                response_state.commit.as_ref(),
            );
        }
    }
    timing::append(response.headers_mut(), &timings);
    response
}

/// Commits the sessions; the errors.
async fn commit(sessions: &[Arc<RequestSession>], disposition: Disposition) -> Vec<CommitError> {
    // All begin before any is waited for: the client may hang up at every wait.
    let commits: Vec<_> = sessions.iter().map(|session| session.finish(disposition)).collect();
    let mut errors = Vec::new();
    for commit in commits {
        errors.extend(commit.await.err());
    }
    errors
}

fn set_cookie(settings: &Settings, session: &RequestSession, cookie_action: CookieAction, response: &mut Response) {
    let backend = &session.store.backend;
    let header = match cookie_action {
        CookieAction::Set(token, until) => {
            // Rounded up: a cookie that ends with its session is of no harm, one that ends before it loses it.
            let seconds = Millis::from(until).since(backend.now()).as_millis().div_ceil(1000);
            let max_age = i64::try_from(seconds.max(1)).unwrap_or(i64::MAX);
            cookie::cookie_action(&settings.cookies, &backend.keys, &session.cookie, &token, max_age)
        }
        CookieAction::Remove => cookie::removal(&settings.cookies, &session.cookie),
    };
    let Some(mut header) = header else {
        tracing::error!(
            cookie = session.cookie,
            "the path or the domain of the cookie cannot be sent: it was not set"
        );
        return;
    };
    header.set_sensitive(true);
    response.headers_mut().append(SET_COOKIE, header);
    response
        .headers_mut()
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}
