//! The JSON that programs use.

use std::time::Duration;

use axum::body::HttpBody;
use axum::extract::{Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use session_runtime::{CascadeStore, DeviceId, OwnerError, TypedSession};

use super::actions::{self, TooMany};
use super::devices::Moment;
use super::session::Shop;
use super::user_agent;

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
        .route("/devices", get(devices))
        .route("/devices/end", post(end_device))
        .route("/devices/end-others", post(end_others))
        .route("/devices/end-all", post(end_all))
        .route("/fail", post(fail))
        .route("/notices", get(notices))
        .route_layer(from_fn(refuse_forms))
}

/// Takes JSON, or nothing: what a form can send is refused. So is what a script of another site sends, and of another
/// port of this host, which has the same cookies; browsers say where a request comes from (W3C Fetch Metadata).
async fn refuse_forms(request: Request, next: Next) -> Response {
    let has_json_or_nothing = match request.headers().get(CONTENT_TYPE) {
        Some(kind) => is_json(kind.as_bytes()),
        None => request.body().is_end_stream(),
    };
    if !has_json_or_nothing {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json, or no body").into_response();
    }
    let origin = request.headers().get("sec-fetch-site");
    let is_foreign = origin.is_some_and(|origin| origin != "same-origin" && origin != "none");
    if is_foreign && !request.method().is_safe() {
        return (StatusCode::FORBIDDEN, "pages of other sites may not do that").into_response();
    }
    next.run(request).await
}

/// Whether that is the media type, with parameters or without.
fn is_json(kind: &[u8]) -> bool {
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
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

async fn add_line(mut shop: TypedSession<Shop>, Json(Line { sku, qty }): Json<Line>) -> Result<Json<Value>, TooMany> {
    actions::add(&mut shop, sku, qty)?;
    Ok(Json(json!({ "lines": shop.lines() })))
}

impl IntoResponse for TooMany {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, self.to_string()).into_response()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    user: u64,
    #[serde(default)]
    remember: bool,
}

async fn login(headers: HeaderMap, mut shop: TypedSession<Shop>, Json(login): Json<Login>) -> Json<Value> {
    actions::sign_in(&mut shop, login.user, login.remember, user_agent::label(&headers));
    Json(json!({ "user": login.user }))
}

async fn logout(mut shop: TypedSession<Shop>) -> StatusCode {
    shop.destroy();
    StatusCode::NO_CONTENT
}

/// Why the customer's devices are not told, or not ended.
#[derive(Debug, thiserror::Error)]
enum DevicesError {
    #[error("sign in first")]
    SignedOut,
    #[error("there is no such device")]
    NoSuchDevice,
    #[error(transparent)]
    Owner(#[from] OwnerError),
}

impl IntoResponse for DevicesError {
    fn into_response(self) -> Response {
        match self {
            Self::SignedOut => (StatusCode::FORBIDDEN, self.to_string()).into_response(),
            Self::NoSuchDevice => (StatusCode::NOT_FOUND, self.to_string()).into_response(),
            Self::Owner(error) => error.into_response(),
        }
    }
}

fn customer(shop: &TypedSession<Shop>) -> Result<u64, DevicesError> {
    shop.user().ok_or(DevicesError::SignedOut)
}

async fn devices(State(store): State<CascadeStore>, shop: TypedSession<Shop>) -> Result<Json<Value>, DevicesError> {
    let (devices, this) = (
        store.owner::<Shop>(&customer(&shop)?).sessions().await?,
        shop.device_id(),
    );
    let devices = devices.into_iter().map(|device| {
        json!({
            "id": device.id,
            "label": device.label,
            "is_this": this == Some(device.id),
            "created": Moment::of(device.created).machine,
            "signed_in": Moment::of(device.signed_in).machine,
            "last_used": Moment::of(device.last_used).machine,
            "expires_at": Moment::of(device.expires_at).machine,
        })
    });
    Ok(Json(json!({ "devices": devices.collect::<Vec<_>>() })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndDevice {
    id: DeviceId,
}

async fn end_device(
    State(store): State<CascadeStore>,
    mut shop: TypedSession<Shop>,
    Json(EndDevice { id }): Json<EndDevice>,
) -> Result<Json<Value>, DevicesError> {
    let user = customer(&shop)?;
    if !actions::end_device(&store, &mut shop, user, id).await? {
        return Err(DevicesError::NoSuchDevice);
    }
    Ok(Json(json!({ "ended": 1 })))
}

async fn end_others(State(store): State<CascadeStore>, shop: TypedSession<Shop>) -> Result<Json<Value>, DevicesError> {
    let ended = actions::end_others(&store, &shop, customer(&shop)?).await?;
    Ok(Json(json!({ "ended": ended })))
}

async fn end_all(State(store): State<CascadeStore>, mut shop: TypedSession<Shop>) -> Result<Json<Value>, DevicesError> {
    let user = customer(&shop)?;
    let ended = actions::end_all(&store, &mut shop, user).await?;
    Ok(Json(json!({ "ended": ended })))
}

/// What a handler that fails has changed is not kept.
async fn fail(mut shop: TypedSession<Shop>) -> (StatusCode, &'static str) {
    *shop.visits_mut() += 100;
    (StatusCode::INTERNAL_SERVER_ERROR, "failed, as asked")
}

async fn notices(mut shop: TypedSession<Shop>) -> Json<Value> {
    Json(json!({ "notices": shop.take_notices() }))
}

/// Stands for a handler's slow work between reading the session and changing it.
async fn wait(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms).min(LONGEST_WAIT)).await;
}
