//! The layer: puts a request's sessions into its extensions, commits them before the response goes out, and sets their
//! cookies.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Request};
use tower_layer::Layer;
use tower_service::Service;

use super::cookie::{self, CookieOptions};
use super::timing;
use crate::cascade::inner::StoreInner;
use crate::cascade::{CascadeStore, CommitError};
use crate::request::{Disposition, RequestSession, RequestSessions, TokenAction};
use crate::session::Session;
use crate::tier::Tiers;

/// Gives a router its sessions: commits them before the response goes out, and sets their cookies.
///
/// Made from a store: `SessionLayer::from(store)`, or `store.layer()`.
///
/// ```
/// use axum::Router;
/// use axum::response::IntoResponse;
/// use session_runtime::{CascadeStore, CommitError, CookieOptions, RouterExt, SameSite};
///
/// fn app(routes: Router<CascadeStore>, store: CascadeStore) -> Router {
///     let layer = store
///         .layer()
///         .with_cookies(CookieOptions::new().with_same_site(SameSite::Strict))
///         .with_server_timing(cfg!(debug_assertions))
///         .with_error_response(|error| match error {
///             CommitError::Gone { .. } => axum::response::Redirect::to("/login").into_response(),
///             error => error.into_response(),
///         });
///     routes.sessions(layer)
/// }
/// ```
pub struct SessionLayer<M, D> {
    settings: Arc<Settings>,
    tiers: PhantomData<fn() -> (M, D)>,
}

/// What the layer and its services share.
#[derive(Clone)]
struct Settings {
    store: Arc<StoreInner>,
    cookies: Arc<CookieOptions>,
    server_timing: bool,
    on_error: fn(CommitError) -> Response,
}

/// The sessions of one request, as its extensions carry them.
pub(super) struct LayerSessions {
    sessions: RequestSessions,
    cookies: Arc<CookieOptions>,
}

impl LayerSessions {
    fn new(settings: &Settings) -> Self {
        Self {
            sessions: RequestSessions::new(Arc::clone(&settings.store)),
            cookies: Arc::clone(&settings.cookies),
        }
    }

    /// Whether a layer of these settings would only repeat what the one that made this does.
    fn is_same_layer(&self, settings: &Settings) -> bool {
        self.sessions.is_of_store(&settings.store) && *self.cookies == *settings.cookies
    }

    /// The distributed tiers that session `T` names and the layer's store does not have.
    pub(super) fn missing_tiers<T: Session>(&self) -> Tiers {
        self.sessions.missing_tiers::<T>()
    }

    /// Session `T`, found by the request's cookie at the first call.
    pub(super) fn session<T: Session>(&self, headers: &HeaderMap) -> Arc<RequestSession> {
        self.sessions.session::<T>(
            || self.cookies.name(T::SCHEMA.name),
            |keys, name| cookie::presented(headers, keys, name),
        )
    }
}

impl<M, D> SessionLayer<M, D> {
    /// The attributes of the cookies.
    #[must_use]
    pub fn with_cookies(self, cookies: CookieOptions) -> Self {
        self.with(|settings| settings.cookies = Arc::new(cookies))
    }

    /// Tells in a `Server-Timing` header which tier answered, how the commit ended, and how long either took, in
    /// milliseconds (default: off, since it tells a visitor about the inside).
    #[must_use]
    pub fn with_server_timing(self, on: bool) -> Self {
        self.with(|settings| settings.server_timing = on)
    }

    /// What to answer where a commit fails (default: see [`CommitError`]'s `IntoResponse`). The handler's own response
    /// is dropped, since it speaks of something that did not happen.
    #[must_use]
    pub fn with_error_response(self, on_error: fn(CommitError) -> Response) -> Self {
        self.with(|settings| settings.on_error = on_error)
    }

    /// The store that the layer was made from.
    pub(super) fn store(&self) -> CascadeStore<M, D> {
        CascadeStore::from_inner(Arc::clone(&self.settings.store))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl<M, D> From<CascadeStore<M, D>> for SessionLayer<M, D> {
    fn from(store: CascadeStore<M, D>) -> Self {
        let settings = Settings {
            store: store.inner,
            cookies: Arc::default(),
            server_timing: false,
            on_error: CommitError::into_response,
        };
        Self {
            settings: Arc::new(settings),
            tiers: PhantomData,
        }
    }
}

impl<M, D> CascadeStore<M, D> {
    /// The layer that gives a router the sessions of this store, to be given options.
    pub fn layer(&self) -> SessionLayer<M, D> {
        self.clone().into()
    }
}

impl<M, D> Clone for SessionLayer<M, D> {
    fn clone(&self) -> Self {
        Self {
            settings: Arc::clone(&self.settings),
            tiers: PhantomData,
        }
    }
}

impl<M, D> fmt::Debug for SessionLayer<M, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("cookies", &self.settings.cookies)
            .finish_non_exhaustive()
    }
}

impl<S, M, D> Layer<S> for SessionLayer<M, D> {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService {
            inner,
            settings: Arc::clone(&self.settings),
        }
    }
}

/// The service that [`SessionLayer`] makes of another.
#[derive(Clone)]
pub struct SessionService<S> {
    inner: S,
    settings: Arc<Settings>,
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
        if outer.is_some_and(|outer| outer.is_same_layer(&settings)) {
            // The layer was put on twice: were both to answer, a session would get two cookies.
            let response = self.inner.call(request);
            return Box::pin(async move { response.await.map(IntoResponse::into_response) });
        }
        let sessions = Arc::new(LayerSessions::new(&settings));
        request.extensions_mut().insert(Arc::clone(&sessions));
        // Called before the future is polled: `poll_ready` spoke of this very service.
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await.map(IntoResponse::into_response);
            match response {
                Ok(response) => Ok(finish(&settings, &sessions.sessions, response).await),
                Err(error) => {
                    commit(&sessions.sessions.take(), Disposition::Discard).await;
                    Err(error)
                }
            }
        })
    }
}

/// Commits the sessions of the request, and tells the client about them.
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
        // A response that already reports a failure says more than that a rotation or a destroy failed besides.
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
        let state = session.take_response_state();
        if let Some(action) = state.token_action {
            set_cookie(settings, session, action, &mut response);
        }
        if settings.server_timing && session.is_loaded() {
            timing::describe(&mut timings, &state);
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

fn set_cookie(settings: &Settings, session: &RequestSession, action: TokenAction, response: &mut Response) {
    let name = session.token_name();
    let header = match action {
        TokenAction::Set(token, until) => {
            // Rounded up: a cookie that outlives its session is harmless, one that ends before it loses it.
            let seconds = session.time_until(until).as_millis().div_ceil(1000);
            let max_age = i64::try_from(seconds.max(1)).unwrap_or(i64::MAX);
            settings.cookies.set(name, session.encode_token(&token), max_age)
        }
        TokenAction::Remove => settings.cookies.remove(name),
    };
    let Some(mut header) = header else {
        tracing::error!(
            cookie = name,
            "the path or the domain of the cookie cannot be sent: it was not set"
        );
        return;
    };
    header.set_sensitive(true);
    let headers = response.headers_mut();
    headers.append(SET_COOKIE, header);
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}
