//! The ways to give a router its sessions.

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::get;
use session_runtime::{
    CascadeStore, NoDatastore, RouterExt, ServedBy, Session, SessionRejection, SessionState, StatefulRouterExt,
    TypedSession, WithMemcache,
};

#[derive(Session)]
#[cascade(memcache)]
struct Cart {
    lines: Vec<u64>,
}

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Shop {
    visits: u64,
}

/// An extractor over a session, under any state that has its store.
struct Visits(u64);

impl<S> FromRequestParts<S> for Visits
where
    S: SessionState + Send + Sync,
    Shop: ServedBy<S::Store>,
{
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, SessionRejection> {
        let shop = TypedSession::<Shop>::from_request_parts(parts, state).await?;
        Ok(Self(*shop.visits()))
    }
}

async fn cart(_: TypedSession<Cart>) {}

async fn shop(_: TypedSession<Shop>, _: Result<TypedSession<Cart>, SessionRejection>, _: Visits) {}

#[axum::debug_middleware(state = CascadeStore)]
async fn guard(_: TypedSession<Shop>, request: Request, next: Next) -> Response {
    next.run(request).await
}

fn inferred(store: CascadeStore) -> Router {
    Router::new().route("/", get(shop)).layer(store.middleware(guard)).sessions(store)
}

fn written_out(store: CascadeStore) -> Router {
    let routes: Router<CascadeStore> = Router::new().route("/", get(shop));
    routes.merge(Router::new().route("/cart", get(cart))).sessions(store.layer())
}

fn without_handlers(store: CascadeStore) -> Router {
    Router::new().sessions(store)
}

fn one_tier(store: CascadeStore<WithMemcache, NoDatastore>) -> Router {
    Router::new().route("/", get(cart)).sessions(store)
}

fn any_tiers<M: 'static, D: 'static>(routes: Router<CascadeStore<M, D>>, store: CascadeStore<M, D>) -> Router {
    routes.sessions(store)
}

#[derive(Clone)]
struct AppState;

impl SessionState for AppState {
    type Store = CascadeStore;
}

fn own_state(store: CascadeStore) -> Router {
    Router::new()
        .route("/", get(shop))
        .layer(axum::middleware::from_fn_with_state(AppState, guard))
        .session_layer(store)
        .with_state(AppState)
}

fn shared_state(store: CascadeStore) -> Router {
    Router::new()
        .route("/", get(shop))
        .session_layer(store.layer())
        .with_state(Arc::new(AppState))
}

fn main() {}
