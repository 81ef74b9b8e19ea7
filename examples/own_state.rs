//! A router with a state of its own: say which store serves its sessions, and add the layer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use session_runtime::{CascadeStore, Session, SessionState, StatefulRouterExt, TypedSession};
use tokio::net::TcpListener;

#[derive(Session)]
#[session(name = "counter", version = 1)]
#[cascade(memcache, datastore)]
struct Counter {
    #[session(merge = add)]
    mine: u64,
}

#[derive(Clone, Default)]
struct AppState {
    everyone: Arc<AtomicU64>,
}

impl SessionState for AppState {
    type Store = CascadeStore;
}

async fn count(State(state): State<AppState>, mut counter: TypedSession<Counter>) -> Json<Value> {
    *counter.mine_mut() += 1;
    let everyone = state.everyone.fetch_add(1, Ordering::Relaxed) + 1;
    Json(json!({ "mine": counter.mine(), "everyone": everyone }))
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "whoever started the program waits for this line")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = CascadeStore::from_env().await?;
    let app = Router::new()
        .route("/", get(count))
        .session_layer(store)
        .with_state(AppState::default());

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
