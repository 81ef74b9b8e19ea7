//! The layer: puts a request's sessions into its extensions, commits them before the response goes out, and sets their
//! cookies.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::response::{IntoResponse, Response};
use http::header::{COOKIE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use super::cookie::{self, CookieError, CookieOptions};
use super::header::HeaderCarrier;
use super::rejection::{RejectionKind, SessionRejection};
use super::{caching, timing};
use crate::cascade::inner::StoreInner;
use crate::cascade::{CascadeStore, CommitError};
use crate::request::{self, Disposition, RequestSession, RequestSessions, TokenAction};
use crate::session::Session;

/// Gives a router its sessions: commits them before the response goes out, and sets their cookies.
///
/// Made from a store: `SessionLayer::from(store)`, or `store.layer()`.
///
/// ```
/// use axum::Router;
/// use axum::response::IntoResponse;
/// use session_runtime::{CascadeStore, CommitError, CookieError, CookieOptions, RouterExt, SameSite};
///
/// fn app(routes: Router<CascadeStore>, store: CascadeStore) -> Result<Router, CookieError> {
///     let layer = store
///         .layer()
///         .with_cookies(CookieOptions::new().with_same_site(SameSite::Strict))?
///         .with_server_timing(cfg!(debug_assertions))
///         .with_error_response(|error| match error {
///             CommitError::Gone { .. } => axum::response::Redirect::to("/login").into_response(),
///             error => error.into_response(),
///         });
///     Ok(routes.sessions(layer))
/// }
/// ```
///
/// A stack of tower services on `http` types has sessions without axum's router, whatever the types of its bodies. The
/// service takes them as a handler would, with the store as the state:
///
/// ```
/// use std::convert::Infallible;
///
/// use axum::extract::FromRequestParts;
/// use axum::http::{Request, Response};
/// use axum::response::IntoResponse;
/// use session_runtime::{CascadeStore, Session, TypedSession};
/// use tower::{Service, ServiceBuilder};
///
/// #[derive(Session)]
/// #[cascade(memcache, datastore)]
/// struct Shop {
///     visits: u64,
/// }
///
/// async fn visit(request: Request<()>, store: CascadeStore) -> axum::response::Response {
///     let (mut parts, _body) = request.into_parts();
///     match TypedSession::<Shop>::from_request_parts(&mut parts, &store).await {
///         Ok(mut shop) => {
///             *shop.visits_mut() += 1;
///             Response::new(format!("visit {}", shop.visits())).into_response()
///         }
///         Err(rejection) => rejection.into_response(),
///     }
/// }
///
/// fn stack(store: CascadeStore) -> impl Service<Request<()>, Error = Infallible> {
///     ServiceBuilder::new().layer(store.layer()).service_fn(move |request| {
///         let response = visit(request, store.clone());
///         async { Ok(response.await) }
///     })
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
    cookies: CookieOptions,
    /// Carries the tokens instead of cookies.
    header: Option<HeaderCarrier>,
    server_timing: bool,
    commit_if: fn(&Response) -> bool,
    on_error: Arc<dyn Fn(CommitError) -> Response + Send + Sync>,
    on_rejection: Option<OnRejection>,
}

type OnRejection = Arc<dyn Fn(&SessionRejection, &Parts) -> Response + Send + Sync>;

fn commit_if(response: &Response) -> bool {
    let status = response.status();
    !status.is_server_error() && status != StatusCode::REQUEST_TIMEOUT
}

/// The sessions of one request, as its extensions carry them.
pub(super) struct LayerSessions {
    sessions: RequestSessions,
    /// Those of the innermost layer of the store.
    settings: Mutex<Arc<Settings>>,
    /// A layer with another store is around this one.
    is_nested: bool,
}

impl LayerSessions {
    fn new(settings: Arc<Settings>, is_nested: bool) -> Self {
        Self {
            sessions: RequestSessions::new(Arc::clone(&settings.store)),
            settings: Mutex::new(settings),
            is_nested,
        }
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
        let missing = self.sessions.missing_tiers::<T>();
        if !missing.is_empty() {
            return Err(RejectionKind::NoTier { session, missing });
        }
        let settings = self.settings();
        let spec = &T::SCHEMA.cookie;
        let cookies = settings.cookies.for_type(spec);
        if matches!(cookies, Cow::Owned(_)) {
            cookies
                .check()
                .map_err(|source| RejectionKind::Cookie { session, source })?;
        }
        let found = self.sessions.session::<T>(
            || match &settings.header {
                Some(_) => session.to_owned(),
                None => cookies.name(spec.name.unwrap_or(session)),
            },
            |keys, name| match &settings.header {
                Some(header) => header.presented(headers, keys, name),
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

impl<M, D> SessionLayer<M, D> {
    /// The attributes of the cookies.
    ///
    /// # Errors
    /// Where browsers would refuse such cookies, or a header cannot carry them: which attribute, and what it must be.
    pub fn with_cookies(self, cookies: CookieOptions) -> Result<Self, CookieError> {
        cookies.check()?;
        Ok(self.with(|settings| settings.cookies = cookies))
    }

    /// Carries the sessions in headers instead of cookies, for clients that have none: see [`HeaderCarrier`].
    ///
    /// ```
    /// # use session_runtime::{CascadeStore, HeaderCarrier, HeaderCarrierError, SessionLayer, WithDatastore, WithMemcache};
    /// # fn layer(store: CascadeStore) -> Result<SessionLayer<WithMemcache, WithDatastore>, HeaderCarrierError> {
    /// let layer = store.layer().with_header(HeaderCarrier::named("x-session")?);
    /// # Ok(layer)
    /// # }
    /// ```
    #[must_use]
    pub fn with_header(self, header: HeaderCarrier) -> Self {
        self.with(|settings| settings.header = Some(header))
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
    pub fn with_error_response(self, on_error: impl Fn(CommitError) -> Response + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.on_error = Arc::new(on_error))
    }

    /// What to answer where a handler cannot be given its session, for this request (default: see [`SessionRejection`]).
    #[must_use]
    pub fn with_rejection_response(
        self,
        on_rejection: impl Fn(&SessionRejection, &Parts) -> Response + Send + Sync + 'static,
    ) -> Self {
        self.with(|settings| settings.on_rejection = Some(Arc::new(on_rejection)))
    }

    /// Which responses commit the changes of their handler (default: all but server errors, 5xx, and request timeouts,
    /// 408). What a response does not commit is discarded, whatever the handler did; a destroy or a rotation is carried
    /// out all the same.
    ///
    /// Middleware inside the layer that drops a handler half-way, such as a `select!` of its own, and then answers with a
    /// success cannot be told from a handler that returned: what the handler had changed is committed. Answer 408 or 5xx
    /// there, as the timeouts of tower do.
    #[must_use]
    pub fn with_commit_if(self, commit_if: fn(&Response) -> bool) -> Self {
        self.with(|settings| settings.commit_if = commit_if)
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
            cookies: CookieOptions::default(),
            header: None,
            server_timing: false,
            commit_if,
            on_error: Arc::new(CommitError::into_response),
            on_rejection: None,
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
            .field("header", &self.settings.header)
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
        if let Some(outer) = outer.filter(|outer| outer.sessions.is_of_store(&settings.store)) {
            // The outer layer commits, and answers as this one is told to: were both to commit, a session would get two
            // cookies.
            *outer.settings.lock().unwrap_or_else(PoisonError::into_inner) = settings;
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
        let error = &failure as &dyn std::error::Error;
        // A response that already reports a failure says more than that a rotation or a destroy failed besides.
        if disposition == Disposition::Commit {
            tracing::debug!(
                error,
                "the response of a handler is replaced, since its session was not committed"
            );
            response = (settings.on_error)(failure.error);
        } else {
            tracing::error!(
                error,
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
            HeaderCarrier::value(name, &session.encode_token(&token))
        }
        TokenAction::Remove if carrier.is_some() => HeaderCarrier::value(name, ""),
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
