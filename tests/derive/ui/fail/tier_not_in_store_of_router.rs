//! The error about a handler, without `#[debug_handler]`, shows the session and the missing tier.
use axum::Router;
use axum::routing::get;
use session_runtime::{NoDatastore, WithMemcache};
use session_runtime::{CascadeStore, RouterExt, Session, TypedSession};

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Shop {
    visits: u64,
}

async fn show(_: TypedSession<Shop>) {}

fn serve(store: CascadeStore<WithMemcache, NoDatastore>) -> Router {
    Router::new().route("/", get(show)).sessions(store)
}

fn main() {}
