use axum::Router;
use session_runtime::{CascadeStore, RouterExt};

struct AppState;

fn own_state(routes: Router<AppState>, store: CascadeStore) -> Router {
    routes.sessions(store)
}

fn unit_state(routes: Router, store: CascadeStore) -> Router {
    routes.sessions(store)
}

fn main() {}
