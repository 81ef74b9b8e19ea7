//! The JSON that programs use.

use std::time::Duration;

use axum::extract::Query;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use session_runtime::{CascadeStore, TypedSession};

use crate::session::Shop;

/// How many notices wait for one who never reads them.
const MOST_NOTICES: usize = 50;
/// The longest wait that a request may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

pub(crate) fn routes() -> Router<CascadeStore> {
    Router::new()
        .route("/session", get(show))
        .route("/visit", post(visit))
        .route("/note", post(write_note))
        .route("/lines", post(add_line))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/fail", post(fail))
        .route("/notices", get(notices))
}

async fn show(shop: TypedSession<Shop>) -> Json<Value> {
    Json(json!({
        "is_new": shop.is_new(),
        "visits": shop.visits(),
        "lines": shop.lines(),
        "user": shop.user(),
        "note": shop.note(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Visit {
    #[serde(default)]
    ms: u64,
}

async fn visit(Query(visit): Query<Visit>, mut shop: TypedSession<Shop>) -> Json<Value> {
    wait(visit.ms).await;
    *shop.visits_mut() += 1;
    Json(json!({ "visits": shop.visits() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    text: String,
    #[serde(default)]
    ms: u64,
}

async fn write_note(Query(note): Query<Note>, mut shop: TypedSession<Shop>) -> Json<Value> {
    wait(note.ms).await;
    shop.set_note(Some(note.text));
    Json(json!({ "note": shop.note() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sku: String,
    qty: u32,
}

async fn add_line(
    mut shop: TypedSession<Shop>,
    Json(Line { sku, qty }): Json<Line>,
) -> Result<Json<Value>, (StatusCode, String)> {
    let there = shop.lines().get(&sku).copied().unwrap_or(0);
    let Some(sum) = there.checked_add(qty) else {
        return Err((
            StatusCode::BAD_REQUEST,
            format!("{there} of {sku} and {qty} more are too many"),
        ));
    };
    notify(&mut shop, format!("Added {qty} of {sku}"));
    shop.lines_mut().insert(sku, sum);
    Ok(Json(json!({ "lines": shop.lines() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    user: u64,
}

async fn login(mut shop: TypedSession<Shop>, Json(Login { user }): Json<Login>) -> Json<Value> {
    shop.set_user(Some(user));
    notify(&mut shop, format!("Welcome, {user}"));
    Json(json!({ "user": user }))
}

async fn logout(mut shop: TypedSession<Shop>) -> StatusCode {
    shop.destroy();
    StatusCode::NO_CONTENT
}

/// What a handler that fails has changed is not kept.
async fn fail(mut shop: TypedSession<Shop>) -> (StatusCode, &'static str) {
    *shop.visits_mut() += 100;
    (StatusCode::INTERNAL_SERVER_ERROR, "failed, as asked")
}

async fn notices(mut shop: TypedSession<Shop>) -> Json<Value> {
    Json(json!({ "notices": shop.take_notices() }))
}

fn notify(shop: &mut TypedSession<Shop>, notice: String) {
    if shop.notices().len() < MOST_NOTICES {
        shop.push_notices(notice);
    }
}

/// Stands for a handler's slow work between reading the session and changing it.
async fn wait(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms).min(LONGEST_WAIT)).await;
}
