//! The same for the state that `store.middleware(guard)` gives it.
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use session_runtime::{CascadeStore, NoDatastore, Session, SessionRef, WithMemcache};

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Shop {
    visits: u64,
}

#[axum::debug_middleware(state = CascadeStore<WithMemcache, NoDatastore>)]
async fn guard(_: SessionRef<Shop>, request: Request, next: Next) -> Response {
    next.run(request).await
}

fn main() {}
