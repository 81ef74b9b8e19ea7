//! What caches between the server and the browser are told.

use std::collections::BTreeSet;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, ETAG, VARY};
use axum::http::{HeaderName, Method, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, post};

use super::log::Log;
use crate::site::{Browser, Reply, ShopSession, Site};

/// The members of a list header, in small letters.
fn list(reply: &Reply, name: &HeaderName) -> BTreeSet<String> {
    let lines = reply.headers.get_all(name).iter().map(|line| line.to_str().unwrap());
    let members = lines.flat_map(|line| line.split(',')).map(str::trim);
    members.map(str::to_lowercase).collect()
}

fn set(members: &[&str]) -> BTreeSet<String> {
    members.iter().map(ToString::to_string).collect()
}

/// The response says that it depends on the cookie, and is for one browser alone.
#[track_caller]
fn assert_private(reply: &Reply) {
    let vary = list(reply, &VARY);
    assert!(vary.contains("cookie"), "no `Vary: Cookie`: {reply:?}");
    let control = list(reply, &CACHE_CONTROL);
    assert!(
        control.contains("private") || control.contains("no-store"),
        "publicly cacheable: {reply:?}"
    );
    assert!(!control.contains("public"), "{reply:?}");
    assert!(!control.iter().any(|word| word.starts_with("s-maxage")), "{reply:?}");
}

/// A site with a handler that reads, and one that writes, both of which answer with these headers.
fn answering(site: &Site, headers: &'static [(HeaderName, &'static str)]) -> Site {
    let read =
        move |shop: ShopSession| async move { (AppendHeaders(headers.iter().cloned()), shop.visits().to_string()) };
    let write = move |mut shop: ShopSession| async move {
        *shop.visits_mut() += 1;
        AppendHeaders(headers.iter().cloned())
    };
    site.serving(Router::new().route("/", get(read)).route("/", post(write)))
}

#[tokio::test]
async fn whatever_depended_on_a_session_is_private_and_varies() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    assert_private(&site.get(&mut browser, "/read").await);
    assert_private(&site.get(&mut Browser::default(), "/read").await);
    assert_private(&site.post(&mut browser, "/visit").await);
    assert_private(&site.post(&mut Browser::default(), "/visit").await);
    assert_private(&site.post(&mut browser, "/fail").await);
    assert_private(&site.post(&mut browser, "/logout").await);
    // What looked at no session is left as it is.
    let reply = site.get(&mut browser, "/nothing").await;
    assert!(!reply.headers.contains_key(VARY) && !reply.headers.contains_key(CACHE_CONTROL));
}

#[tokio::test]
async fn so_is_a_response_that_says_that_the_session_failed() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.durable.down();
    let reply = site.post(&mut browser, "/visit").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_private(&reply);
    site.cache.down();
    let reply = site.get(&mut browser, "/read").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_private(&reply);
}

#[tokio::test]
async fn what_the_handler_said_of_shared_caches_is_taken_out_and_logged() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let log = Log::capture();
    for headers in [
        &[(CACHE_CONTROL, "public, max-age=60, s-maxage=600")][..],
        &[(CACHE_CONTROL, "S-MaxAge=600,Public"), (CACHE_CONTROL, "max-age=60")],
    ] {
        let reply = answering(&site, headers).get(&mut browser, "/").await;
        assert_private(&reply);
        assert_eq!(list(&reply, &CACHE_CONTROL), set(&["private", "max-age=60"]));
    }
    assert!(log.text().contains("s-maxage"), "it is logged: {}", log.text());
}

#[tokio::test]
async fn with_a_cookie_it_is_not_to_be_stored_unless_the_handler_said_private() {
    let site = Site::new().await;
    for headers in [
        &[(CACHE_CONTROL, "public, max-age=60")][..],
        &[(CACHE_CONTROL, "max-age=60")],
        &[(CACHE_CONTROL, "no-cache")],
        &[],
    ] {
        let reply = answering(&site, headers).post(&mut Browser::default(), "/").await;
        reply.cookie();
        assert_private(&reply);
        assert!(
            list(&reply, &CACHE_CONTROL).contains("no-store"),
            "a cookie that may be stored: {reply:?}"
        );
    }
    let site = answering(&site, &[(CACHE_CONTROL, "private, max-age=60")]);
    let reply = site.post(&mut Browser::default(), "/").await;
    reply.cookie();
    assert_private(&reply);
    assert_eq!(list(&reply, &CACHE_CONTROL), set(&["private", "max-age=60"]));
}

#[tokio::test]
async fn what_the_response_varied_by_already_is_kept() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let cases: [(&[_], &[&str]); 4] = [
        (&[(VARY, "Accept-Encoding")], &["accept-encoding", "cookie"]),
        (&[(VARY, "Origin"), (VARY, "Accept")], &["accept", "cookie", "origin"]),
        (&[(VARY, "accept, cookie")], &["accept", "cookie"]),
        (&[], &["cookie"]),
    ];
    for (headers, expected) in cases {
        let reply = answering(&site, headers).get(&mut browser, "/").await;
        assert_eq!(list(&reply, &VARY), set(expected), "{reply:?}");
        let lines = reply.headers.get_all(VARY).iter();
        let text: String = lines.map(|line| line.to_str().unwrap().to_lowercase()).collect();
        assert_eq!(text.matches("cookie").count(), 1, "{reply:?}");
    }
}

#[tokio::test]
async fn a_304_keeps_its_cookie_and_its_headers() {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession| async move {
        *shop.visits_mut() += 1;
        let response: Response = (StatusCode::NOT_MODIFIED, [(ETAG, "\"one\""), (VARY, "Accept")]).into_response();
        response
    };
    let site = site.serving(Router::new().route("/", get(handler)));
    let reply = site.get(&mut Browser::default(), "/").await;
    assert_eq!(reply.status, StatusCode::NOT_MODIFIED);
    reply.cookie();
    assert_eq!(reply.headers[ETAG], "\"one\"");
    assert_private(&reply);
    assert_eq!(list(&reply, &VARY), set(&["accept", "cookie"]));
}

#[tokio::test]
async fn head_is_answered_as_get_is() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let get = site.get(&mut browser.clone(), "/read").await;
    let head = site.send(Method::HEAD, "/read", browser.cookie.as_deref()).await;
    assert_private(&head);
    for name in [VARY, CACHE_CONTROL] {
        assert_eq!(list(&head, &name), list(&get, &name));
    }
    assert_eq!(head.body, "");
}
