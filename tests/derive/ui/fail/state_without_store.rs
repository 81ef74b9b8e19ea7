use std::sync::{Arc, Mutex};

use axum::{Router, routing::get};
use session_runtime::{CascadeStore, Session, StatefulRouterExt, TypedSession};

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Shop {
    visits: u64,
}

#[derive(Clone)]
struct AppState;

async fn show(_: TypedSession<Shop>) {}

fn own_state(store: CascadeStore) -> Router {
    Router::new().route("/", get(show)).session_layer(store).with_state(AppState)
}

fn no_state() -> Router {
    Router::new().route("/", get(show))
}

fn state_of_another_crate() -> Router {
    Router::new().route("/", get(show)).with_state(Arc::new(Mutex::new(0)))
}

fn main() {}
