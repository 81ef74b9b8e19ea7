//! The extractor.

use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use super::layer::LayerSessions;
use super::rejection::{RejectionKind, SessionRejection};
use crate::cascade::{CascadeStore, LoadError};
use crate::request::{self, RequestSession, SessionRef, TypedSession};
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

impl<S, T> FromRequestParts<S> for TypedSession<T>
where
    S: SessionState + Send + Sync,
    T: ServedBy<S::Store>,
{
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        extract::<T, _>(parts, request::load::<T>).await
    }
}

/// `None` for a visitor. An outage is rejected all the same.
impl<S, T> OptionalFromRequestParts<S> for TypedSession<T>
where
    S: SessionState + Send + Sync,
    T: ServedBy<S::Store>,
{
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SessionRejection> {
        let session = extract::<T, _>(parts, request::load::<T>).await?;
        Ok((!session.is_new()).then_some(session))
    }
}

impl<S, T> FromRequestParts<S> for SessionRef<T>
where
    S: SessionState + Send + Sync,
    T: ServedBy<S::Store>,
{
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        extract::<T, _>(parts, request::load_ref::<T>).await
    }
}

/// `None` for a visitor. An outage is rejected all the same.
impl<S, T> OptionalFromRequestParts<S> for SessionRef<T>
where
    S: SessionState + Send + Sync,
    T: ServedBy<S::Store>,
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
