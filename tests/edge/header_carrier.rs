//! The header carrier: tokens in headers, for clients without cookies.

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, VARY};
use axum::http::{HeaderName, Method, Request, StatusCode};
use axum::routing::{get, post};
use session_runtime::{HeaderCarrier, HeaderCarrierError, RouterExt, TypedSession};
use tower::ServiceExt;

use crate::site::{Other, Reply, ShopSession, Site, read, routes};

const X_SESSION: HeaderName = HeaderName::from_static("x-session");
const SESSION_TOKEN: HeaderName = HeaderName::from_static("session-token");

fn named(site: &Site, routes: Router<session_runtime::CascadeStore>) -> Router {
    let header = HeaderCarrier::named("X-Session").unwrap();
    routes.sessions(site.store.layer().with_header(header))
}

fn authorization(site: &Site) -> Router {
    routes().sessions(site.store.layer().with_header(HeaderCarrier::authorization()))
}

async fn send(app: &Router, method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await;
    Reply::of(response.unwrap()).await
}

/// The values of a response's header.
fn values(reply: &Reply, name: &HeaderName) -> Vec<String> {
    let lines = reply.headers.get_all(name).iter();
    lines.map(|line| line.to_str().unwrap().to_owned()).collect()
}

/// The only value of it.
#[track_caller]
fn value(reply: &Reply, name: &HeaderName) -> String {
    let mut values = values(reply, name);
    assert_eq!(values.len(), 1, "{values:?} of {reply:?}");
    values.remove(0)
}

#[tokio::test]
async fn a_session_lives_from_its_first_header_to_its_last() {
    let site = Site::new().await;
    let app = named(&site, routes());
    let reply = send(&app, Method::POST, "/visit", &[]).await;
    reply.assert_no_cookie();
    let first = value(&reply, &X_SESSION);
    assert!(
        first.starts_with("shop=") && first.len() == "shop=".len() + 64,
        "{first}"
    );
    assert!(reply.headers[X_SESSION].is_sensitive());

    let reply = send(&app, Method::POST, "/visit", &[(X_SESSION, &first)]).await;
    assert_eq!(reply.visits(), 2);
    assert_eq!(values(&reply, &X_SESSION), [""; 0], "nothing has changed");

    let reply = send(&app, Method::POST, "/login/7", &[(X_SESSION, &first)]).await;
    let second = value(&reply, &X_SESSION);
    assert_ne!(first, second, "a privileged write rotates");
    let reply = send(&app, Method::GET, "/read", &[(X_SESSION, &second)]).await;
    assert_eq!(reply.json()["user"], 7);
    assert!(send(&app, Method::GET, "/read", &[(X_SESSION, &first)]).await.is_new());

    let reply = send(&app, Method::POST, "/logout", &[(X_SESSION, &second)]).await;
    assert_eq!(value(&reply, &X_SESSION), "shop=", "the client is to forget its token");
    assert!(send(&app, Method::GET, "/read", &[(X_SESSION, &second)]).await.is_new());
    assert_eq!(site.records.keys().len(), 0);
}

#[tokio::test]
async fn the_authorization_header_has_a_scheme_and_the_response_a_name_of_its_own() {
    let site = Site::new().await;
    let app = authorization(&site);
    let reply = send(&app, Method::POST, "/visit", &[]).await;
    reply.assert_no_cookie();
    let pair = value(&reply, &SESSION_TOKEN);
    assert!(!reply.headers.contains_key(AUTHORIZATION));
    let token = pair.strip_prefix("shop=").unwrap();
    for (line, is_known) in [
        (format!("Session {pair}"), true),
        (format!("Session {token}"), true),
        (format!("session  {token}"), true),
        (format!("SESSION other={token}, {pair}"), true),
        (format!("Bearer {token}"), false),
        (format!("Session{token}"), false),
        (format!("Sessions {token}"), false),
        (format!("Session other={token}"), false),
        (token.to_owned(), false),
        ("Session".to_owned(), false),
        ("Session ".to_owned(), false),
        (String::new(), false),
    ] {
        let reply = send(&app, Method::GET, "/read", &[(AUTHORIZATION, &line)]).await;
        assert_eq!(!reply.is_new(), is_known, "{line}");
    }
}

#[tokio::test]
async fn the_header_counts_and_the_cookie_is_left_alone() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let cookie = browser.cookie.clone().unwrap();
    let app = named(&site, routes());
    let mine = value(&send(&app, Method::POST, "/note/mine", &[]).await, &X_SESSION);
    let both = [(COOKIE, cookie.as_str()), (X_SESSION, mine.as_str())];
    assert_eq!(send(&app, Method::GET, "/read", &both).await.json()["note"], "mine");
    for path in ["/login/7", "/logout"] {
        send(&app, Method::POST, path, &both).await.assert_no_cookie();
    }
    // A cookie alone, as a browser adds it to what another site makes it send, is nothing.
    let reply = send(&app, Method::GET, "/read", &[(COOKIE, &cookie)]).await;
    assert!(reply.is_new());
    assert_eq!(
        site.get(&mut browser.clone(), "/read").await.visits(),
        1,
        "it is as it was"
    );
}

#[tokio::test]
async fn a_token_counts_in_the_carrier_that_it_was_signed_for() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let app = named(&site, routes());
    for line in [browser.value().to_owned(), format!("shop={}", browser.value())] {
        assert!(send(&app, Method::GET, "/read", &[(X_SESSION, &line)]).await.is_new());
    }
    let given = value(&send(&app, Method::POST, "/visit", &[]).await, &X_SESSION);
    let cookie = format!("__Host-{given}");
    assert!(site.send(Method::GET, "/read", Some(&cookie)).await.is_new());
}

#[tokio::test]
async fn forged_tokens_reach_no_tier() {
    let site = Site::new().await;
    let app = named(&site, routes());
    let given = value(&send(&app, Method::POST, "/visit", &[]).await, &X_SESSION);
    site.settle().await;
    site.reset_calls();
    let mut flipped = given.clone().into_bytes();
    flipped[30] ^= 1;
    let flipped = String::from_utf8(flipped).unwrap();
    for line in [flipped.as_str(), "shop=", "shop", "=", ",", "shop=shop=shop=", "x=y"] {
        let reply = send(&app, Method::GET, "/read", &[(X_SESSION, line)]).await;
        assert!(reply.is_new(), "{line}");
        assert_eq!(reply.status, StatusCode::OK);
    }
    site.assert_untouched();
}

#[tokio::test]
async fn several_sessions_get_a_line_each_and_come_back_in_one_or_in_several() {
    let site = Site::new().await;
    let write = |mut shop: ShopSession, mut other: TypedSession<Other>| async move {
        *shop.visits_mut() += 1;
        *other.visits_mut() += 1;
        format!("{} {}", shop.visits(), other.visits())
    };
    let app = named(&site, Router::new().route("/", post(write)));
    let given = values(&send(&app, Method::POST, "/", &[]).await, &X_SESSION);
    assert_eq!(given.len(), 2, "{given:?}");
    assert!(
        given[0].starts_with("shop=") && given[1].starts_with("other="),
        "{given:?}"
    );
    let joined = given.join(", ");
    let reply = send(&app, Method::POST, "/", &[(X_SESSION, &joined)]).await;
    assert_eq!(reply.body, "2 2");
    let lines = [(X_SESSION, given[1].as_str()), (X_SESSION, given[0].as_str())];
    assert_eq!(send(&app, Method::POST, "/", &lines).await.body, "3 3");
}

#[tokio::test]
async fn responses_vary_by_the_header_and_are_not_stored_with_a_token() {
    let site = Site::new().await;
    let app = named(&site, routes());
    let reply = send(&app, Method::POST, "/visit", &[]).await;
    assert_eq!(values(&reply, &VARY), ["x-session"]);
    assert_eq!(values(&reply, &CACHE_CONTROL), ["no-store"]);
    let given = value(&reply, &X_SESSION);
    let reply = send(&app, Method::GET, "/read", &[(X_SESSION, &given)]).await;
    assert_eq!(values(&reply, &VARY), ["x-session"]);
    assert_eq!(values(&reply, &CACHE_CONTROL), ["private"]);
    let reply = send(&authorization(&site), Method::POST, "/visit", &[]).await;
    assert_eq!(values(&reply, &VARY), ["authorization"]);
    assert_eq!(values(&reply, &CACHE_CONTROL), ["no-store"]);
}

#[tokio::test]
async fn pages_with_cookies_and_an_interface_with_headers_share_a_store() {
    let site = Site::new().await;
    let api = named(&site, Router::new().route("/read", get(read)));
    let app = routes().sessions(site.store.clone()).nest("/api", api);
    let browser = site.visitor().await;
    let cookie = browser.cookie.as_deref().unwrap();
    assert_eq!(send(&app, Method::GET, "/read", &[(COOKIE, cookie)]).await.visits(), 1);
    assert!(send(&app, Method::GET, "/api/read", &[(COOKIE, cookie)]).await.is_new());
}

#[test]
fn a_header_that_has_another_use_is_refused() {
    for name in ["", "x session", "x-session:", "größe", "x\r\ny"] {
        let error = HeaderCarrier::named(name).unwrap_err();
        assert_eq!(error, HeaderCarrierError::Name(name.to_owned()));
    }
    for name in ["Cookie", "set-cookie", "AUTHORIZATION", "Vary", "content-length"] {
        let error = HeaderCarrier::named(name).unwrap_err();
        assert!(matches!(error, HeaderCarrierError::Reserved(_)), "{name}: {error}");
    }
    assert_eq!(HeaderCarrier::named("X-Session"), HeaderCarrier::named("x-session"));
    assert!(HeaderCarrier::named("X-Session").is_ok());
}
