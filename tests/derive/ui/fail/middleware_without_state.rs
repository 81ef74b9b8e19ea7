//! rustc's error about `from_fn(guard)` does not tell why; with `#[debug_middleware]` the function itself does.
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use session_runtime::{Session, SessionRef};

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Shop {
    visits: u64,
}

#[axum::debug_middleware]
async fn guard(_: SessionRef<Shop>, request: Request, next: Next) -> Response {
    next.run(request).await
}

fn main() {}
