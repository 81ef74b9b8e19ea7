//! The extractor.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::layer::LayerSessions;
use super::rejection::SessionRejection;
use crate::cascade::CascadeStore;
use crate::request::{self, TypedSession};
use crate::session::{ServedBy, Session};

/// Says which store serves the sessions of a router whose state is your own, so that the tiers of a session are
/// checked when the router is compiled.
///
/// ```
/// use session_runtime::{CascadeStore, SessionState};
///
/// #[derive(Clone)]
/// struct AppState {}
///
/// impl SessionState for AppState {
///     type Store = CascadeStore;
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the router's state `{Self}` does not say which store serves its sessions",
    label = "no session store",
    note = "end the router with `.sessions(store)`, or write `impl SessionState for {Self} {{ type Store = CascadeStore; }}` and add `.session_layer(store)`"
)]
pub trait SessionState {
    /// The type of the store that the router's layer has.
    type Store;
}

impl<M, D> SessionState for CascadeStore<M, D> {
    type Store = Self;
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
        load::<T>(parts).await
    }
}

async fn load<T: Session>(parts: &Parts) -> Result<TypedSession<T>, SessionRejection> {
    let session = T::SCHEMA.name;
    let Some(sessions) = parts.extensions.get::<Arc<LayerSessions>>() else {
        return Err(SessionRejection::NoLayer { session });
    };
    let missing = sessions.missing_tiers::<T>();
    if !missing.is_empty() {
        return Err(SessionRejection::NoTier { session, missing });
    }
    Ok(request::load(sessions.session::<T>(&parts.headers)).await?)
}
