//! CSRF tokens: whose request they let in, and whose they do not.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::header::COOKIE;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use session_runtime::{CascadeStore, Csrf, CsrfError, RouterExt};
use tower::ServiceExt;

use crate::promises::log::Log;
use crate::site::{Browser, Other, Reply, Shop, ShopSession, Site, keys, read, routes, visit};

async fn token(csrf: Csrf<Shop>) -> String {
    csrf.token()
}

/// Checks the token in the path, and writes nothing.
async fn check(csrf: Csrf<Shop>, Path(token): Path<String>) -> Result<(), CsrfError> {
    csrf.verify(&token)
}

fn with_tokens() -> Router<CascadeStore> {
    routes()
        .route("/token", get(token))
        .route("/check/{token}", post(check))
        .route(
            "/sign-in/{token}",
            post(
                |csrf: Csrf<Shop>, mut shop: ShopSession, Path(token): Path<String>| async move {
                    csrf.verify(&token)?;
                    shop.set_user(Some(7));
                    Ok::<_, CsrfError>(())
                },
            ),
        )
}

async fn site() -> Site {
    Site::new().await.serving(with_tokens())
}

/// How the site answers this browser with this token.
async fn status(site: &Site, browser: &Browser, token: &str) -> StatusCode {
    let path = format!("/check/{token}");
    site.post(&mut browser.clone(), &path).await.status
}

#[tokio::test]
async fn a_token_of_ones_own_counts_and_changes_nothing() {
    let site = site().await;
    let mut browser = site.visitor().await;
    let reply = site.get(&mut browser, "/token").await;
    reply.assert_no_cookie();
    assert_eq!(reply.body.len(), 43);
    assert_eq!(site.get(&mut browser, "/token").await.body, reply.body);
    assert_eq!(status(&site, &browser, &reply.body).await, StatusCode::OK);
    site.post(&mut browser, "/visit").await;
    assert_eq!(
        status(&site, &browser, &reply.body).await,
        StatusCode::OK,
        "writes do not end it"
    );
}

#[tokio::test]
async fn no_other_token_counts() {
    let site = site().await;
    let (mut browser, mut other) = (site.visitor().await, site.visitor().await);
    let token = site.get(&mut browser, "/token").await.body;
    let foreign = site.get(&mut other, "/token").await.body;
    assert_ne!(token, foreign);
    assert_eq!(status(&site, &browser, &foreign).await, StatusCode::FORBIDDEN);
    assert_eq!(status(&site, &other, &token).await, StatusCode::FORBIDDEN);
    for at in [0, 10, 20, 41] {
        let mut flipped = token.clone().into_bytes();
        flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
        let flipped = String::from_utf8(flipped).unwrap();
        assert_eq!(
            status(&site, &browser, &flipped).await,
            StatusCode::FORBIDDEN,
            "at {at}"
        );
    }
    let value = browser.value().to_owned();
    for wrong in [&token[..42], &token[..22], "x", value.as_str(), &"A".repeat(43)] {
        assert_eq!(status(&site, &browser, wrong).await, StatusCode::FORBIDDEN, "{wrong}");
    }
    assert_eq!(status(&site, &browser, &token).await, StatusCode::OK);
}

#[tokio::test]
async fn nor_does_one_of_another_session_in_the_same_browser() {
    let site = site().await;
    let both = |csrf: Csrf<Shop>, other: Csrf<Other>| async move { format!("{} {}", csrf.token(), other.token()) };
    let cross = |csrf: Csrf<Shop>, Path(token): Path<String>| async move { csrf.verify(&token) };
    let site = site.serving(Router::new().route("/", get(both)).route("/{token}", post(cross)));
    let reply = site.send(Method::GET, "/", None).await;
    let jar: Vec<_> = reply
        .cookies()
        .iter()
        .map(|line| line.split(';').next().unwrap().to_owned())
        .collect();
    let cookie = jar.join("; ");
    let (own, other) = reply.body.split_once(' ').unwrap();
    for (token, expected) in [(own, StatusCode::OK), (other, StatusCode::FORBIDDEN)] {
        let reply = site.send(Method::POST, &format!("/{token}"), Some(&cookie)).await;
        assert_eq!(reply.status, expected);
    }
}

#[tokio::test]
async fn a_visitor_gets_a_session_with_the_token() {
    let site = site().await;
    let mut browser = Browser::default();
    let reply = site.get(&mut browser, "/token").await;
    reply.cookie();
    assert_eq!(status(&site, &browser, &reply.body).await, StatusCode::OK);
    assert_eq!(site.get(&mut browser, "/token").await.body, reply.body);
    // Whoever has none has nothing that a token could belong to.
    assert_eq!(
        status(&site, &Browser::default(), &reply.body).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(site.records.keys().len(), 1, "to check a token makes no session");
}

#[tokio::test]
async fn so_does_one_whose_session_is_dead_or_was_destroyed() {
    let site = site().await;
    let mut browser = site.visitor().await;
    let dead = browser.clone();
    site.post(&mut browser, "/logout").await;
    let mut browser = dead.clone();
    let reply = site.get(&mut browser, "/token").await;
    reply.cookie();
    assert_ne!(browser.cookie, dead.cookie);
    assert_eq!(status(&site, &browser, &reply.body).await, StatusCode::OK);

    let anew = |csrf: Csrf<Shop>, mut shop: ShopSession| async move {
        shop.destroy();
        csrf.token()
    };
    let again = site.serving(with_tokens().route("/anew", post(anew)));
    let token = again.post(&mut browser, "/anew").await.body;
    assert_eq!(status(&site, &browser, &token).await, StatusCode::OK);
    assert_eq!(status(&site, &browser, &reply.body).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_outlives_one_rotation_and_no_second() {
    let site = site().await;
    let mut browser = site.visitor().await;
    let first = site.get(&mut browser, "/token").await.body;
    let old = browser.clone();
    site.post(&mut browser, "/rotate").await.cookie();
    assert_eq!(status(&site, &browser, &first).await, StatusCode::OK);
    let second = site.get(&mut browser, "/token").await.body;
    assert_ne!(first, second);
    assert_eq!(status(&site, &browser, &second).await, StatusCode::OK);
    // Within the grace the old secret is served, and its page gets the token that will count.
    assert_eq!(site.get(&mut old.clone(), "/token").await.body, second);
    site.clock.advance(Duration::from_secs(60));
    assert_eq!(
        status(&site, &browser, &first).await,
        StatusCode::OK,
        "the page is still open"
    );
    site.post(&mut browser, "/rotate").await.cookie();
    assert_eq!(status(&site, &browser, &second).await, StatusCode::OK);
    assert_eq!(status(&site, &browser, &first).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_from_before_a_sign_in_does_not_count_after_it() {
    let site = site().await;
    let mut browser = site.visitor().await;
    let before = site.get(&mut browser, "/token").await.body;
    site.post(&mut browser, "/login/7").await.cookie();
    assert_eq!(status(&site, &browser, &before).await, StatusCode::FORBIDDEN);
    let after = site.get(&mut browser, "/token").await.body;
    assert_eq!(status(&site, &browser, &after).await, StatusCode::OK);
    site.post(&mut browser, "/rotate").await;
    assert_eq!(status(&site, &browser, &before).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_form_of_a_sign_in_that_is_sent_twice_counts_twice() {
    let site = site().await;
    let mut browser = Browser::default();
    let token = site.get(&mut browser, "/token").await.body;
    let path = format!("/sign-in/{token}");
    let mut twice = browser.clone();
    let reply = site.post(&mut browser, &path).await;
    assert_eq!(reply.status, StatusCode::OK);
    let reply = site.post(&mut twice, &path).await;
    assert_eq!(
        reply.status,
        StatusCode::OK,
        "the secret is superseded, and known: {reply:?}"
    );
    reply.cookie();
    for browser in [&browser, &twice] {
        assert_eq!(site.get(&mut browser.clone(), "/read").await.json()["user"], 7);
        assert_eq!(status(&site, browser, &token).await, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_page_after_a_commit_has_a_token_of_the_new_secret() {
    let site = site().await;
    let handler = |csrf: Csrf<Shop>, mut shop: ShopSession, Path(before): Path<String>| async move {
        shop.set_user(Some(7));
        shop.commit().await.unwrap();
        csrf.verify(&before)?;
        Ok::<_, CsrfError>(csrf.token())
    };
    let site = site.serving(with_tokens().route("/in/{token}", post(handler)));
    let mut browser = site.visitor().await;
    let before = site.get(&mut browser, "/token").await.body;
    let reply = site.post(&mut browser, &format!("/in/{before}")).await;
    assert_eq!(
        reply.status,
        StatusCode::OK,
        "what the request presented counts in it: {reply:?}"
    );
    assert_eq!(status(&site, &browser, &reply.body).await, StatusCode::OK);
}

#[tokio::test]
async fn a_token_of_an_older_key_counts() {
    let site = site().await;
    let mut browser = site.visitor().await;
    let token = site.get(&mut browser, "/token").await.body;
    let (cache, durable) = site.tiers.clone();
    for (numbers, expected) in [(&[2, 1][..], StatusCode::OK), (&[2], StatusCode::FORBIDDEN)] {
        let builder = CascadeStore::builder(keys(numbers))
            .memcache(cache.clone())
            .datastore(durable.clone());
        let app = with_tokens().sessions(builder.clock(site.clock.clone()).build().await.unwrap());
        let path = format!("/check/{token}");
        assert_eq!(browser.clone().send(&app, Method::POST, &path).await.status, expected);
    }
}

#[tokio::test]
async fn a_guard_lets_in_what_is_safe_or_has_the_header() {
    async fn guard(csrf: Csrf<Shop>, request: Request, next: Next) -> Result<Response, CsrfError> {
        if !request.method().is_safe() {
            csrf.verify_header(request.headers())?;
        }
        Ok(next.run(request).await)
    }
    let site = site().await;
    let guarded = Router::new().route("/read", get(read)).route("/visit", post(visit));
    let guarded = guarded.route_layer(from_fn_with_state(site.store.clone(), guard));
    let mut browser = site.visitor().await;
    let token = site.get(&mut browser, "/token").await.body;
    let site = site.serving(guarded);
    assert_eq!(site.get(&mut browser, "/read").await.status, StatusCode::OK);
    for (header, expected) in [
        (None, StatusCode::FORBIDDEN),
        (Some("x"), StatusCode::FORBIDDEN),
        (Some(token.as_str()), StatusCode::OK),
    ] {
        let mut request = Request::post("/visit").header(COOKIE, browser.cookie.clone().unwrap());
        if let Some(header) = header {
            request = request.header("X-CSRF-Token", header);
        }
        let response = site.app.clone().oneshot(request.body(Body::empty()).unwrap()).await;
        let reply = Reply::of(response.unwrap()).await;
        assert_eq!(reply.status, expected, "{header:?}");
        if expected == StatusCode::FORBIDDEN {
            assert_eq!(reply.body, "Forbidden");
        }
    }
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 2);
}

#[tokio::test]
async fn the_field_is_one_of_a_form() {
    let site = site().await;
    let field = |csrf: Csrf<Shop>| async move { format!("{} {}", csrf.token(), csrf.field()) };
    let site = site.serving(Router::new().route("/", get(field)));
    let reply = site.send(Method::GET, "/", None).await;
    let (token, field) = reply.body.split_once(' ').unwrap();
    assert_eq!(
        field,
        format!("<input type=\"hidden\" name=\"csrf_token\" value=\"{token}\">")
    );
}

#[tokio::test]
async fn with_a_session_that_is_loaded_it_asks_no_tier() {
    let site = site().await;
    let handler = |shop: ShopSession, csrf: Csrf<Shop>| async move { format!("{} {}", csrf.token(), shop.visits()) };
    let site = site.serving(with_tokens().route("/both", get(handler)));
    let mut browser = site.visitor().await;
    site.get(&mut browser, "/read").await;
    let alone = (site.cache.take_calls(), site.durable.take_calls());
    site.get(&mut browser, "/both").await;
    assert_eq!((site.cache.take_calls(), site.durable.take_calls()), alone);
}

#[tokio::test]
async fn tokens_are_in_no_log_and_in_no_debug_output() {
    let site = site().await;
    let debug = |csrf: Csrf<Shop>| async move { format!("{} {csrf:?}", csrf.token()) };
    let site = site.serving(with_tokens().route("/debug", get(debug)));
    let log = Log::capture();
    let mut browser = site.visitor().await;
    let body = site.get(&mut browser, "/debug").await.body;
    let (token, debug) = body.split_once(' ').unwrap();
    assert!(debug.starts_with("Csrf") && !debug.contains(token), "{debug}");
    let wrong = "B".repeat(43);
    assert_eq!(status(&site, &browser, token).await, StatusCode::OK);
    assert_eq!(status(&site, &browser, &wrong).await, StatusCode::FORBIDDEN);
    let text = log.text();
    assert!(text.contains("CSRF"), "the refusal is logged: {text}");
    assert!(!text.contains(token) && !text.contains(&wrong), "{text}");
}
