//! What is promised between the socket and the session, one module for each kind of promise.

mod bodies;
mod caching;
mod cancelled;
mod cookie_options;
mod destroyed;
mod discard;
mod dropped;
mod expired;
mod late;
pub(crate) mod log;
mod looks;
mod lookups;
mod nested;
mod refresh;
mod same_name;
mod superseded;
mod superseded_races;
mod sweeping;
mod two_cookies;
mod two_sessions;
mod unreadable;

use axum::http::Method;
use session_runtime::Session;
use tokio::task::JoinHandle;

use crate::site::{Browser, Reply, Site};

/// A second session, beside the site's own.
#[derive(Session)]
#[session(name = "other", version = 1)]
#[cascade(datastore)]
struct Other {
    visits: u64,
    note: Option<String>,
}

/// The part of the cookie that names the record.
fn sid(browser: &Browser) -> &str {
    &browser.value()[..20]
}

/// A POST of this browser, begun.
fn begin(site: &Site, browser: &Browser, path: &str) -> JoinHandle<Reply> {
    let (site, cookie, path) = (site.clone(), browser.cookie.clone(), path.to_owned());
    tokio::spawn(async move { site.send(Method::POST, &path, cookie.as_deref()).await })
}

/// Lets what was begun go on until it waits.
async fn until_it_waits() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
