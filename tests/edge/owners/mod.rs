//! Owners: who is signed in where, and how that is ended.

mod another;
mod costs;
mod ends;
mod limits;
mod lists;
mod outages;
mod races;
mod rolling;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use session_runtime::{CascadeStore, Device, DeviceId, Owner, OwnerEpoch, RouterExt, Session, TypedSession};

use crate::site::{Browser, Reply, Site};

/// A session that belongs to somebody.
#[derive(Session)]
#[session(name = "account", version = 1)]
#[cascade(memcache, datastore)]
struct Account {
    #[session(owner)]
    user: Option<u64>,
    note: Option<String>,
}

type AccountSession = TypedSession<Account>;

fn routes() -> Router<CascadeStore> {
    Router::new()
        .route("/user", get(user))
        .route("/in/{user}", post(sign_in))
        .route("/in/{user}/{label}", post(sign_in_labelled))
        .route(
            "/out",
            post(|mut account: AccountSession| async move { account.destroy() }),
        )
        .route(
            "/clear",
            post(|mut account: AccountSession| async move { account.set_user(None) }),
        )
        .route(
            "/note/{text}",
            post(|mut account: AccountSession, Path(text): Path<String>| async move { account.set_note(Some(text)) }),
        )
        .route("/device", get(device))
        .route("/others/{user}", post(end_others))
}

/// Who is signed in: a number, or nothing.
async fn user(account: AccountSession) -> String {
    account.user().map_or_else(String::new, |user| user.to_string())
}

async fn sign_in(mut account: AccountSession, Path(user): Path<u64>) {
    account.set_user(Some(user));
}

async fn sign_in_labelled(mut account: AccountSession, Path((user, label)): Path<(u64, String)>) {
    account.set_user(Some(user));
    account.set_device_label(label);
}

async fn device(account: AccountSession) -> String {
    account.device_id().map_or_else(String::new, |id| id.to_string())
}

async fn end_others(account: AccountSession, State(store): State<CascadeStore>, Path(user): Path<u64>) -> Response {
    match store.owner::<Account>(&user).end_all_except(&account).await {
        Ok(ended) => ended.count.to_string().into_response(),
        Err(error) => error.into_response(),
    }
}

/// A site of accounts.
async fn accounts() -> Site {
    Site::new().await.serving(routes())
}

fn owner(site: &Site, user: u64) -> Owner<Account> {
    site.store.owner(&user)
}

/// A browser that has signed in.
async fn signed_in(site: &Site, user: u64) -> Browser {
    let mut browser = Browser::default();
    let reply = site.post(&mut browser, &format!("/in/{user}")).await;
    assert_eq!(reply.status, StatusCode::OK);
    browser
}

/// Who a browser is signed in as.
async fn who(site: &Site, browser: &Browser) -> String {
    let reply = site.get(&mut browser.clone(), "/user").await;
    assert_eq!(reply.status, StatusCode::OK);
    reply.body
}

async fn devices(site: &Site, user: u64) -> Vec<Device> {
    owner(site, user).sessions().await.unwrap()
}

async fn device_id(site: &Site, browser: &Browser) -> DeviceId {
    let reply: Reply = site.get(&mut browser.clone(), "/device").await;
    reply.body.parse().unwrap()
}

async fn ids(site: &Site, user: u64) -> Vec<DeviceId> {
    devices(site, user).await.iter().map(|device| device.id).collect()
}

/// A site on which a sign-in says in which epoch it began.
fn signing_in_within(site: &Site, epoch: OwnerEpoch) -> Site {
    let sign_in = move |mut account: AccountSession, Path(user): Path<u64>| async move {
        account.set_user(Some(user));
        account.sign_in_within(epoch);
    };
    site.serving(Router::new().route("/in/{user}", post(sign_in)))
}

/// The same tiers, served by another node.
async fn node(site: &Site) -> Site {
    let node = site.node(|builder| builder).await;
    let app = routes().sessions(node.store.clone());
    Site { app, ..node }
}
