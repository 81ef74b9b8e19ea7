use axum::Router;
use axum::middleware::{FromFnLayer, from_fn_with_state};

use super::extract::SessionState;
use super::layer::SessionLayer;
use crate::cascade::CascadeStore;

/// Gives a router its sessions: layer and state in one call.
///
/// The store becomes the router's state, so that a handler which takes a session that the store has no tier for is a
/// compile error. Routes added afterwards have no sessions.
///
/// ```
/// # use session_runtime::{CascadeStore, RouterExt, Session, TypedSession};
/// # #[derive(Session)]
/// # #[cascade(memcache, datastore)]
/// # struct Shop { note: Option<String> }
/// use axum::{Router, routing::get};
///
/// async fn note(shop: TypedSession<Shop>) -> String {
///     shop.note().clone().unwrap_or_default()
/// }
///
/// fn app(store: CascadeStore) -> Router {
///     Router::new().route("/note", get(note)).sessions(store)
/// }
/// ```
///
/// A router with a state of its own takes [`StatefulRouterExt::session_layer`] instead.
pub trait RouterExt<S> {
    /// Serves the sessions of the routes so far from a store, or from a [`SessionLayer`] that was given options.
    fn sessions<M, D>(self, sessions: impl Into<SessionLayer<M, D>>) -> Router
    where
        SessionLayer<M, D>: IsStateOf<S>;
}

impl<S> RouterExt<S> for Router<S> {
    fn sessions<M, D>(self, sessions: impl Into<SessionLayer<M, D>>) -> Router
    where
        SessionLayer<M, D>: IsStateOf<S>,
    {
        sessions.into().finish(self)
    }
}

/// A layer whose store is the state of a `Router<S>`. Its single impl tells the compiler what `S` is.
#[diagnostic::on_unimplemented(
    message = "`.sessions(store)` makes the store the router's state, but the state of this router is `{S}`",
    label = "the state here is `{S}`",
    note = "for a state of your own, write `impl SessionState for AppState {{ type Store = CascadeStore; }}`, and `.session_layer(store).with_state(...)` in place of `.sessions(store)`",
    note = "for a router without a state of its own whose type is written out, write `Router<CascadeStore>` in place of `Router`"
)]
pub trait IsStateOf<S> {
    /// Adds the layer and the state.
    fn finish(self, router: Router<S>) -> Router;
}

impl<M: 'static, D: 'static> IsStateOf<CascadeStore<M, D>> for SessionLayer<M, D> {
    fn finish(self, router: Router<CascadeStore<M, D>>) -> Router {
        let store = self.store();
        router.layer(self).with_state(store)
    }
}

/// Gives a router with a state of its own its sessions.
///
/// ```
/// use axum::Router;
/// use session_runtime::{CascadeStore, SessionState, StatefulRouterExt};
///
/// #[derive(Clone)]
/// struct AppState {}
///
/// impl SessionState for AppState {
///     type Store = CascadeStore;
/// }
///
/// fn app(routes: Router<AppState>, store: CascadeStore) -> Router {
///     routes.session_layer(store).with_state(AppState {})
/// }
/// ```
pub trait StatefulRouterExt<S> {
    /// Serves the sessions of the routes so far from a store, or from a [`SessionLayer`] that was given options. The
    /// store must be of the type that the state's [`SessionState`] names.
    #[must_use]
    fn session_layer<M: 'static, D: 'static>(self, sessions: impl Into<SessionLayer<M, D>>) -> Self
    where
        S: SessionState<Store = CascadeStore<M, D>>;
}

impl<S: Clone + Send + Sync + 'static> StatefulRouterExt<S> for Router<S> {
    fn session_layer<M: 'static, D: 'static>(self, sessions: impl Into<SessionLayer<M, D>>) -> Self
    where
        S: SessionState<Store = CascadeStore<M, D>>,
    {
        self.layer(sessions.into())
    }
}

impl<M, D> CascadeStore<M, D> {
    /// Makes middleware of a function that takes sessions: [`axum::middleware::from_fn_with_state`] with the store as the
    /// state.
    ///
    /// A router with a state of its own calls that with its state; a guard that is an extractor becomes middleware by
    /// [`axum::middleware::from_extractor_with_state`], with either.
    ///
    /// It goes inside the sessions of its router, so before [`sessions`](RouterExt::sessions) or
    /// [`session_layer`](StatefulRouterExt::session_layer). Where it does not compile, see [`SessionState`].
    ///
    /// ```
    /// # use session_runtime::{CascadeStore, RouterExt, Session, TypedSession};
    /// # #[derive(Session)]
    /// # #[cascade(memcache, datastore)]
    /// # struct Shop { #[session(privileged)] user: Option<u64> }
    /// use axum::extract::Request;
    /// use axum::http::StatusCode;
    /// use axum::middleware::Next;
    /// use axum::response::Response;
    /// use axum::{Router, routing::get};
    ///
    /// async fn signed_in(shop: TypedSession<Shop>, request: Request, next: Next) -> Result<Response, StatusCode> {
    ///     if shop.user().is_none() {
    ///         return Err(StatusCode::UNAUTHORIZED);
    ///     }
    ///     Ok(next.run(request).await)
    /// }
    ///
    /// fn app(store: CascadeStore) -> Router {
    ///     Router::new()
    ///         .route("/orders", get(|| async { "your orders" }))
    ///         .layer(store.middleware(signed_in))
    ///         .sessions(store)
    /// }
    /// ```
    pub fn middleware<F, T>(&self, function: F) -> FromFnLayer<F, Self, T> {
        from_fn_with_state(self.clone(), function)
    }
}
