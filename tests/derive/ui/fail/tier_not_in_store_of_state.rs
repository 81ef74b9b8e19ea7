use std::sync::Arc;

use axum::{Router, routing::get};
use session_runtime::{
    CascadeStore, NoDatastore, NoMemcache, Session, SessionState, StatefulRouterExt, TypedSession,
};

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Shop {
    visits: u64,
}

struct AppState;

type Store = CascadeStore<NoMemcache, NoDatastore>;

impl SessionState for AppState {
    type Store = Store;
}

async fn show(_: TypedSession<Shop>) {}

fn app(store: Store) -> Router {
    Router::new()
        .route("/", get(show))
        .session_layer(store)
        .with_state(Arc::new(AppState))
}

fn main() {}
