//! Where a customer is signed in: a page that lists it, and ends one session, all others or all.

use std::time::SystemTime;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Redirect, Response};
use axum::routing::get;
use serde::Deserialize;
use session_runtime::{CascadeStore, Csrf, Device, DeviceId, OwnerError, TypedSession};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::actions;
use super::forms::{Nothing, Posted, form, home};
use super::page::html;
use super::session::Shop;
use super::steps;

const PAGE: &str = "/devices";

pub(crate) fn routes() -> Router<CascadeStore> {
    Router::new()
        .route(PAGE, get(show))
        .route("/devices/end", form(PAGE, end))
        .route("/devices/end-others", form(PAGE, end_others))
        .route("/devices/end-all", form(PAGE, end_all))
}

#[derive(Template)]
#[template(path = "storefront/devices.html")]
struct Page {
    csrf_field: String,
    user: Option<u64>,
    notices: Vec<String>,
    devices: Vec<Row>,
}

impl Page {
    /// Screen readers read it first: it begins with what is new.
    fn title(&self) -> String {
        match self.notices.first() {
            Some(notice) => format!("{notice} – Your devices – Storefront"),
            None => "Your devices – Storefront".to_owned(),
        }
    }
}

struct Row {
    id: DeviceId,
    label: String,
    is_this: bool,
    created: Moment,
    signed_in: Moment,
    last_used: Moment,
}

impl Row {
    fn of(device: Device, this: Option<DeviceId>) -> Self {
        Self {
            is_this: this == Some(device.id),
            id: device.id,
            label: device.label.unwrap_or_else(|| "Unknown browser".to_owned()),
            created: Moment::of(device.created),
            signed_in: Moment::of(device.signed_in),
            last_used: Moment::of(device.last_used),
        }
    }
}

/// A point in time, for people and as RFC 3339.
pub(crate) struct Moment {
    people: String,
    pub(crate) machine: String,
}

impl Moment {
    pub(crate) fn of(time: SystemTime) -> Self {
        let time = OffsetDateTime::from(time);
        let (day, month, year) = (time.day(), time.month(), time.year());
        Self {
            people: format!("{day} {month} {year}, {:02}:{:02} UTC", time.hour(), time.minute()),
            machine: time.format(&Rfc3339).unwrap_or_default(),
        }
    }
}

async fn show(
    State(store): State<CascadeStore>,
    headers: HeaderMap,
    csrf: Csrf<Shop>,
    mut shop: TypedSession<Shop>,
) -> Result<Response, OwnerError> {
    let user = *shop.user();
    let devices = match user {
        Some(user) => store.owner::<Shop>(&user).sessions().await?,
        None => Vec::new(),
    };
    let this = shop.device_id();
    let page = Page {
        csrf_field: csrf.field(),
        user,
        notices: shop.take_notices(),
        devices: devices.into_iter().map(|device| Row::of(device, this)).collect(),
    };
    let mut response = html(StatusCode::OK, &page);
    steps::forget(&headers, response.headers_mut());
    Ok(response)
}

#[derive(Deserialize)]
struct One {
    #[serde(default)]
    device: String,
}

async fn end(
    State(store): State<CascadeStore>,
    mut shop: TypedSession<Shop>,
    Posted { form, .. }: Posted<One>,
) -> Result<Redirect, OwnerError> {
    let Some(user) = *shop.user() else { return Ok(list()) };
    let device = form.device.parse().ok();
    let is_this = device.is_some() && device == shop.device_id();
    let has_ended = match device {
        Some(device) => actions::end_device(&store, &mut shop, user, device).await?,
        None => false,
    };
    let notice = match has_ended {
        true if is_this => "You are signed out",
        true => "Signed out that device",
        false => "That device is not signed in any more",
    };
    actions::notify(&mut shop, notice.to_owned());
    Ok(if is_this { home() } else { list() })
}

async fn end_others(
    State(store): State<CascadeStore>,
    mut shop: TypedSession<Shop>,
    _: Posted<Nothing>,
) -> Result<Redirect, OwnerError> {
    let Some(user) = *shop.user() else { return Ok(list()) };
    let notice = match actions::end_others(&store, &shop, user).await? {
        1 => "Signed out 1 other device".to_owned(),
        count => format!("Signed out {count} other devices"),
    };
    actions::notify(&mut shop, notice);
    Ok(list())
}

/// The notice is in a session of its own, which begins with it.
async fn end_all(
    State(store): State<CascadeStore>,
    mut shop: TypedSession<Shop>,
    _: Posted<Nothing>,
) -> Result<Redirect, OwnerError> {
    let Some(user) = *shop.user() else { return Ok(list()) };
    actions::end_all(&store, &mut shop, user).await?;
    actions::notify(&mut shop, "You are signed out everywhere".to_owned());
    Ok(home())
}

/// 303: the browser gets the page, which says so where nobody is signed in.
fn list() -> Redirect {
    Redirect::to(PAGE)
}
