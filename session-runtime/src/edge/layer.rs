use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use tower_layer::Layer;

use super::options::CookieOptions;
use super::service::SessionService;
use crate::cascade::inner::StoreInner;
use crate::cascade::{CascadeStore, CommitError};

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
    pub(super) settings: Arc<Settings>,
    tiers: PhantomData<fn() -> (M, D)>,
}

/// What the layer and its services share.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) store: Arc<StoreInner>,
    pub(super) cookies: Arc<CookieOptions>,
    pub(super) server_timing: bool,
    pub(super) on_error: fn(CommitError) -> Response,
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
        CascadeStore::from_shared(Arc::clone(&self.settings.store))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl<M, D> From<CascadeStore<M, D>> for SessionLayer<M, D> {
    fn from(store: CascadeStore<M, D>) -> Self {
        let settings = Settings {
            store: store.shared,
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
