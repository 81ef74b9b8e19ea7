//! A small shop.
use std::collections::BTreeMap;

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use session_runtime::{CascadeStore, RouterExt, Session, TypedSession};

#[derive(Session)]
#[session(name = "shop", version = 1)]
#[cascade(request, memcache, datastore)]
pub struct Shop {
    #[session(merge = entries(add))]
    lines: BTreeMap<String, u32>,
    #[session(merge = add)]
    visits: u64,
    note: Option<String>,
    #[session(privileged)]
    user: Option<u64>,
    #[session(flash)]
    notices: Vec<String>,
}

async fn visit(mut shop: TypedSession<Shop>) -> Json<Value> {
    *shop.visits_mut() += 1;
    Json(json!({ "visits": shop.visits() }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = CascadeStore::from_env().await?;
    let app: Router = Router::new()
        .route("/api/visit", get(visit).post(visit))
        .sessions(store.layer().with_server_timing(true));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
