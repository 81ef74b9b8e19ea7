//! The extractor.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use super::rejection::{RejectionKind, SessionRejection};
use super::service::LayerSessions;
use crate::cascade::{CascadeStore, LoadError};
use crate::request::{self, RequestSession, SessionRef, TypedSession};
use crate::session::{ServedBy, Session};

/// Says which store serves the sessions of a router whose state is your own, so that the tiers of a session are
/// checked when the router is compiled.
///
/// ```
/// use std::sync::Arc;
///
/// use axum::{Router, routing::get};
/// use session_runtime::{CascadeStore, Session, SessionState, StatefulRouterExt, TypedSession};
/// # #[derive(Session)]
/// # #[cascade(memcache, datastore)]
/// # struct Shop { note: Option<String> }
///
/// struct AppState {}
///
/// impl SessionState for AppState {
///     type Store = CascadeStore;
/// }
///
/// async fn note(shop: TypedSession<Shop>) -> String {
///     shop.note().clone().unwrap_or_default()
/// }
///
/// fn app(state: Arc<AppState>, store: CascadeStore) -> Router {
///     Router::new().route("/note", get(note)).session_layer(store).with_state(state)
/// }
/// ```
///
/// An `Arc<S>` has the store of `S`. Another crate's type cannot have an impl in yours: put it in a struct of your own.
/// A router without a state ends with [`sessions`](crate::RouterExt::sessions), and its store is its state.
///
/// Middleware has a state of its own. [`CascadeStore::middleware`] gives it the store; in `axum::middleware::from_fn` it is
/// `()`, and rustc says no more of it than that "`FromFn<...>: Service<...>` is not satisfied". With
/// `#[axum::debug_middleware]` on the function (axum's feature `macros`) it says why: "the state `()` does not say which
/// store serves its sessions". Under [`CascadeStore::middleware`] that is
/// `#[axum::debug_middleware(state = CascadeStore)]`, and names the session and the tier that the store lacks.
#[diagnostic::on_unimplemented(
    message = "the state `{Self}` does not say which store serves its sessions",
    label = "the state here is `{Self}`",
    note = "end a router without a state of its own with `.sessions(store)`; where its type is written before that, it is `Router<CascadeStore>`",
    note = "for a state of your own, write `impl SessionState for AppState {{ type Store = CascadeStore; }}` and add `.session_layer(store)` before `.with_state(...)`; `Arc<AppState>` then has the same store, and another crate's type must be put in a struct of your own",
    note = "for middleware, write `store.middleware(function)` in place of `from_fn(function)`"
)]
pub trait SessionState {
    /// The type of the store that the router's layer has: a [`CascadeStore`].
    type Store;
}

impl<M, D> SessionState for CascadeStore<M, D> {
    type Store = Self;
}

impl<S: SessionState> SessionState for Arc<S> {
    type Store = S::Store;
}

/// A state under which session `T` can be taken: the bound of every extractor.
pub trait Serves<T> {}

impl<S, T> Serves<T> for S
where
    StateCheck<S, T>:,
    S: StateDeferred<T>,
{
}

/// A state whose store has the tiers of session `T`. It is checked as the module `served_by` describes.
pub trait StateFor<T> {}

impl<S, T> StateFor<T> for S
where
    S: SessionState,
    T: ServedBy<S::Store>,
{
}

/// See [`StateFor`].
#[derive(Debug)]
pub struct StateCheck<S: StateFor<T>, T>(PhantomData<(S, T)>);

/// See [`StateFor`].
pub trait StateDeferred<T>: StateFor<T> {}

impl<S: StateFor<T>, T> StateDeferred<T> for S {}

impl<S, T> FromRequestParts<S> for TypedSession<T>
where
    S: Serves<T> + Send + Sync,
    T: Session,
{
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        extract::<T, _>(parts, request::load::<T>).await
    }
}

/// `None` for a visitor. An outage is rejected all the same.
impl<S, T> OptionalFromRequestParts<S> for TypedSession<T>
where
    S: Serves<T> + Send + Sync,
    T: Session,
{
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SessionRejection> {
        let session = extract::<T, _>(parts, request::load::<T>).await?;
        Ok((!session.is_new()).then_some(session))
    }
}

impl<S, T> FromRequestParts<S> for SessionRef<T>
where
    S: Serves<T> + Send + Sync,
    T: Session,
{
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        extract::<T, _>(parts, request::load_ref::<T>).await
    }
}

/// `None` for a visitor. An outage is rejected all the same.
impl<S, T> OptionalFromRequestParts<S> for SessionRef<T>
where
    S: Serves<T> + Send + Sync,
    T: Session,
{
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SessionRejection> {
        let session = extract::<T, _>(parts, request::load_ref::<T>).await?;
        Ok((!session.is_new()).then_some(session))
    }
}

/// What `load` makes of session `T` of the request.
pub(super) async fn extract<T: Session, E>(
    parts: &Parts,
    load: impl AsyncFnOnce(Arc<RequestSession>) -> Result<E, LoadError>,
) -> Result<E, SessionRejection> {
    let Some(layer) = parts.extensions.get::<Arc<LayerSessions>>() else {
        let session = T::SCHEMA.name;
        return Err(RejectionKind::NoLayer { session }.into());
    };
    let loaded = match layer.session::<T>(&parts.headers) {
        Ok(session) => {
            let loaded = load(Arc::clone(&session)).await;
            loaded.map_err(|error| SessionRejection::of_session(error, session))
        }
        Err(kind) => Err(kind.into()),
    };
    loaded.map_err(|rejection| layer.answer(rejection, parts))
}
