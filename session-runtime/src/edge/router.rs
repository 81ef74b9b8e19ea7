use axum::Router;

use super::extract::SessionState;
use super::layer::SessionLayer;
use crate::cascade::CascadeStore;

/// Gives a router its sessions: layer and state in one call.
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
