//! The layer, and its options.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::request::Parts;
use tower_layer::Layer;

use super::cookie::{CookieError, CookieOptions};
use super::header::HeaderCarrier;
use super::rejection::SessionRejection;
use super::service::SessionService;
use super::settings::{Settings, commit_if};
use crate::cascade::{CascadeStore, WithDatastore, WithMemcache};
use crate::request::CommitFailure;

/// Gives a router its sessions: commits them before the response goes out, and sets their cookies.
///
/// Made from a store: `SessionLayer::from(store)`, or `store.layer()`. As with the store, the type says which tiers it has.
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
///         .with_error_response(|failure| match failure.error {
///             CommitError::Gone { .. } => axum::response::Redirect::to("/login").into_response(),
///             _ => failure.into_response(),
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
pub struct SessionLayer<M = WithMemcache, D = WithDatastore> {
    settings: Arc<Settings>,
    tiers: PhantomData<fn() -> (M, D)>,
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
    /// # use session_runtime::{CascadeStore, HeaderCarrier, HeaderCarrierError, SessionLayer};
    /// # fn layer(store: CascadeStore) -> Result<SessionLayer, HeaderCarrierError> {
    /// let layer = store.layer().with_header(HeaderCarrier::named("x-session")?);
    /// # Ok(layer)
    /// # }
    /// ```
    #[must_use]
    pub fn with_header(self, header: HeaderCarrier) -> Self {
        self.with(|settings| settings.header = Some(header))
    }

    /// The headers that carry the sessions; `None` where cookies do.
    #[cfg(feature = "testing")]
    pub(super) fn header(&self) -> Option<&HeaderCarrier> {
        self.settings.header.as_ref()
    }

    /// Tells in a `Server-Timing` header which tier answered, how the commit ended, and how long either took, in
    /// milliseconds (default: off, since it tells a visitor about the inside).
    #[must_use]
    pub fn with_server_timing(self, on: bool) -> Self {
        self.with(|settings| settings.server_timing = on)
    }

    /// What to answer where a commit fails (default: as its [`CommitError`](crate::CommitError) says). The handler's own
    /// response is dropped, since it speaks of something that did not happen. Of several sessions in one request, the
    /// [`CommitFailure`] tells which were committed all the same. This runs once for each request; the cause is logged
    /// before.
    #[must_use]
    pub fn with_error_response(self, on_error: impl Fn(CommitFailure) -> Response + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.on_error = Arc::new(on_error))
    }

    /// What to answer where a handler cannot be given its session, for this request (default: see [`SessionRejection`]).
    ///
    /// Pages in place of the plain text:
    ///
    /// ```
    /// use axum::http::StatusCode;
    /// use axum::http::header::RETRY_AFTER;
    /// use axum::response::{Html, IntoResponse, Response};
    /// # use session_runtime::{CascadeStore, SessionLayer};
    ///
    /// fn page(status: StatusCode) -> Response {
    ///     let html = Html("<h1>Try again in a moment</h1>");
    ///     if status == StatusCode::SERVICE_UNAVAILABLE {
    ///         return (status, [(RETRY_AFTER, "1")], html).into_response();
    ///     }
    ///     (status, html).into_response()
    /// }
    ///
    /// fn layer(store: CascadeStore) -> SessionLayer {
    ///     let layer = store.layer().with_rejection_response(|rejection, _| page(rejection.status()));
    ///     layer.with_error_response(|failure| page(failure.error.status()))
    /// }
    /// ```
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
            on_error: Arc::new(CommitFailure::into_response),
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
