use axum::Router;

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
/// A router with a state of its own takes [`StatefulRouterExt::session_layer`] instead.
pub trait RouterExt<M, D> {
    /// Serves the sessions of the routes so far from a store, or from a [`SessionLayer`] that was given options.
    fn sessions(self, sessions: impl Into<SessionLayer<M, D>>) -> Router;
}

impl<M: 'static, D: 'static> RouterExt<M, D> for Router<CascadeStore<M, D>> {
    fn sessions(self, sessions: impl Into<SessionLayer<M, D>>) -> Router {
        let layer = sessions.into();
        let store = layer.store();
        self.layer(layer).with_state(store)
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
