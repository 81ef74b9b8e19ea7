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
use crate::request::session::{Entry, Fate, Gift};
use crate::request::sessions::Visit;
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
        let outer = request.extensions().get::<Arc<Visit>>();
        if outer.is_some_and(|visit| visit.is_of(&settings.store, &settings.cookies)) {
            // The layer was put on twice: were both to answer, a session would have two entries, and two cookies.
            let response = self.inner.call(request);
            return Box::pin(async move { response.await.map(IntoResponse::into_response) });
        }
        let visit = Arc::new(Visit::new(Arc::clone(&settings.store), Arc::clone(&settings.cookies)));
        request.extensions_mut().insert(Arc::clone(&visit));
        // Called at once, on the service that was ready.
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await.map(IntoResponse::into_response);
            match response {
                Ok(response) => Ok(finish(&settings, &visit, response).await),
                Err(error) => {
                    commit(&visit.take(), Fate::Dropped).await;
                    Err(error)
                }
            }
        })
    }
}

/// Commits the sessions of the request, and has the response tell the browser.
async fn finish(settings: &Settings, visit: &Visit, mut response: Response) -> Response {
    let entries = visit.take();
    if entries.is_empty() {
        return response;
    }
    let fate = if response.status().is_server_error() {
        Fate::Dropped
    } else {
        Fate::Committed
    };
    for error in commit(&entries, fate).await {
        // An answer that already reports a failure says more than that a rotation or a destroy failed besides.
        if fate == Fate::Committed {
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
    for entry in &entries {
        let said = entry.said();
        if let Some(gift) = said.gift {
            give(settings, entry, gift, &mut response);
        }
        if settings.server_timing && entry.was_loaded() {
            timing::describe(&mut timings, said.load.as_ref(), said.commit.as_ref());
        }
    }
    timing::append(response.headers_mut(), &timings);
    response
}

/// Commits the sessions; the errors.
async fn commit(entries: &[Arc<Entry>], fate: Fate) -> Vec<CommitError> {
    // All begin before any is waited for: the client may hang up at every wait.
    let commits: Vec<_> = entries.iter().map(|entry| entry.finish(fate)).collect();
    let mut errors = Vec::new();
    for commit in commits {
        errors.extend(commit.await.err());
    }
    errors
}

fn give(settings: &Settings, entry: &Entry, gift: Gift, response: &mut Response) {
    let rooms = &entry.store.rooms;
    let header = match gift {
        Gift::Ticket(ticket, until) => {
            // Rounded up: a cookie that ends with its session is of no harm, one that ends before it loses it.
            let seconds = Millis::from(until).since(rooms.now()).as_millis().div_ceil(1000);
            let max_age = i64::try_from(seconds.max(1)).unwrap_or(i64::MAX);
            cookie::gift(&settings.cookies, &rooms.keys, &entry.cookie, &ticket, max_age)
        }
        Gift::Removal => cookie::removal(&settings.cookies, &entry.cookie),
    };
    let Some(mut header) = header else {
        tracing::error!(
            cookie = entry.cookie,
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
