//! The service: puts a request's sessions into its extensions, commits them before the response goes out, and tells the
//! client its tokens.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::response::{IntoResponse, Response};
use http::header::{COOKIE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, Request};
use tower_service::Service;

use super::header::HeaderCarrier;
use super::rejection::{RejectionKind, SessionRejection};
use super::settings::Settings;
use super::{caching, cookie, rejection, timing};
use crate::request::{self, Disposition, RequestSession, RequestSessions, TokenAction};
use crate::session::Session;

/// The sessions of one request, as its extensions carry them.
pub(super) struct LayerSessions {
    sessions: RequestSessions,
    /// Those of the innermost layer of the store.
    settings: Mutex<Arc<Settings>>,
    /// A layer with another store is around this one.
    is_nested: bool,
    /// A layer of the same store is within this one, and finds the sessions that were taken so far by other names.
    is_renamed: AtomicBool,
}

impl LayerSessions {
    fn new(settings: Arc<Settings>, is_nested: bool) -> Self {
        Self {
            sessions: RequestSessions::new(Arc::clone(&settings.store)),
            settings: Mutex::new(settings),
            is_nested,
            is_renamed: AtomicBool::new(false),
        }
    }

    /// Goes on with the settings of a layer of the same store that is within this one.
    fn nest(&self, settings: Arc<Settings>) {
        let mut outer = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        if !outer.finds_the_same(&settings) && !self.sessions.is_empty() {
            self.is_renamed.store(true, Ordering::Relaxed);
        }
        *outer = settings;
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rejection as the layer was told to answer it.
    pub(super) fn answer(&self, rejection: SessionRejection, parts: &Parts) -> SessionRejection {
        match &self.settings().on_rejection {
            None => rejection,
            Some(on_rejection) => {
                let response = on_rejection(&rejection, parts);
                rejection.with_response(response)
            }
        }
    }

    /// Session `T`, found by the request's cookie (or its header) at the first call.
    pub(super) fn session<T: Session>(&self, headers: &HeaderMap) -> Result<Arc<RequestSession>, RejectionKind> {
        let session = T::SCHEMA.name;
        if self.is_nested {
            return Err(RejectionKind::NestedStores { session });
        }
        if self.is_renamed.load(Ordering::Relaxed) {
            return Err(RejectionKind::NestedCarriers { session });
        }
        let missing = self.sessions.missing_tiers::<T>();
        if !missing.is_empty() {
            return Err(RejectionKind::NoTier { session, missing });
        }
        let settings = self.settings();
        let spec = &T::SCHEMA.cookie;
        let cookies = settings.cookies.for_type(spec);
        if settings.header.is_none() && matches!(cookies, Cow::Owned(_)) {
            cookies
                .check()
                .map_err(|source| RejectionKind::Cookie { session, source })?;
        }
        let found = self.sessions.session::<T>(
            || match &settings.header {
                Some(_) => HeaderCarrier::token_name(session),
                None => cookies.name(spec.name.unwrap_or(session)),
            },
            |keys, name| match &settings.header {
                Some(header) => header.presented(headers, keys, name, session),
                None => cookie::presented(headers, keys, name, session),
            },
        );
        found.map_err(|one| RejectionKind::SameName {
            session,
            one,
            other: std::any::type_name::<T>(),
        })
    }
}

/// The service that [`SessionLayer`](crate::SessionLayer) makes of another.
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
        let outer = request.extensions().get::<Arc<LayerSessions>>();
        if let Some(outer) = outer.filter(|outer| outer.sessions.is_of_store(&settings.store)) {
            // The outer layer commits, and answers as this one is told to: were both to commit, a session would get two
            // cookies.
            outer.nest(settings);
            let response = self.inner.call(request);
            return Box::pin(async move { response.await.map(IntoResponse::into_response) });
        }
        let sessions = Arc::new(LayerSessions::new(settings, outer.is_some()));
        request.extensions_mut().insert(Arc::clone(&sessions));
        // Called before the future is polled: `poll_ready` spoke of this very service.
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await.map(IntoResponse::into_response);
            match response {
                Ok(response) => Ok(finish(&sessions, response).await),
                Err(error) => {
                    let finished = request::finish(&sessions.sessions.take(), Disposition::Discard).await;
                    if let Err(failure) = finished {
                        tracing::error!(
                            error = &failure as &dyn std::error::Error,
                            "a rotation or a destroy failed"
                        );
                    }
                    Err(error)
                }
            }
        })
    }
}

/// Commits the sessions of the request, and tells the client about them.
async fn finish(layer: &LayerSessions, mut response: Response) -> Response {
    let sessions = layer.sessions.take();
    if sessions.is_empty() {
        return response;
    }
    let settings = layer.settings();
    let disposition = if (settings.commit_if)(&response) {
        Disposition::Commit
    } else {
        Disposition::Discard
    };
    if let Err(failure) = request::finish(&sessions, disposition).await {
        // A response that already reports a failure says more than that a rotation or a destroy failed besides.
        if disposition == Disposition::Commit {
            rejection::log(failure.error.status(), &failure);
            response = (settings.on_error)(failure);
        } else {
            tracing::error!(
                error = &failure as &dyn std::error::Error,
                "a rotation or a destroy failed beside a response that reports a failure"
            );
        }
    }
    let (mut timings, mut sets_token) = (Vec::new(), false);
    for session in &sessions {
        let state = session.take_response_state();
        if let Some(action) = state.token_action {
            sets_token |= set_token(&settings, session, action, &mut response);
        }
        if settings.server_timing && session.is_loaded() {
            timing::describe(&mut timings, &state);
        }
    }
    let carrier = settings.header.as_ref();
    let carrier = carrier.map_or(COOKIE, |header| header.request_name().clone());
    caching::protect(response.headers_mut(), &carrier, sets_token);
    timing::append(response.headers_mut(), &timings);
    response
}

/// Tells the client its token, or to forget it. Whether the response says so.
fn set_token(settings: &Settings, session: &RequestSession, action: TokenAction, response: &mut Response) -> bool {
    let (name, cookies) = (session.token_name(), settings.cookies.for_type(session.cookie()));
    let carrier = settings.header.as_ref();
    let value = match action {
        TokenAction::Set { token, .. } if carrier.is_some() => {
            HeaderCarrier::value(session.name(), &session.encode_token(&token))
        }
        TokenAction::Remove if carrier.is_some() => HeaderCarrier::value(session.name(), ""),
        TokenAction::Set {
            token,
            until,
            persistent,
        } => {
            // Rounded up: a cookie that outlives its session is harmless, one that ends before it loses it.
            let seconds = session.time_until(until).as_millis().div_ceil(1000);
            let max_age = i64::try_from(seconds.max(1)).unwrap_or(i64::MAX);
            cookies.set(name, session.encode_token(&token), max_age, persistent)
        }
        TokenAction::Remove => cookies.remove(name),
    };
    let Some(mut value) = value else {
        tracing::error!(name, "the token cannot be sent: no header can carry its name");
        return false;
    };
    value.set_sensitive(true);
    let header = carrier.map_or(SET_COOKIE, |header| header.response_name().clone());
    response.headers_mut().append(header, value);
    true
}
