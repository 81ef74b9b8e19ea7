//! The cookies that are set, and how the browser's are read.

use axum::Router;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use axum::http::{Method, Request};
use axum::middleware::{Next, from_fn_with_state};
use axum::routing::{get, post};
use session_runtime::{CookieOptions, RouterExt, SameSite, Session, TypedSession};
use tower::ServiceExt;

use crate::site::{Browser, Reply, ShopSession, Site, keys, routes, visit};

/// The sorted attributes, without `name=value`.
fn attributes(line: &str) -> Vec<String> {
    let mut attributes: Vec<_> = line.split("; ").skip(1).map(str::to_owned).collect();
    attributes.sort();
    attributes
}

#[tokio::test]
async fn the_default_attributes_are_strict_and_a_removal_has_the_same() {
    let site = Site::new().await;
    let mut browser = Browser::default();
    let given = site.post(&mut browser, "/visit").await;
    let line = given.cookie();
    assert!(line.starts_with("__Host-shop="), "{line}");
    assert_eq!(browser.value().len(), 64);
    assert_eq!(
        attributes(&line),
        ["HttpOnly", "Max-Age=2592000", "Path=/", "SameSite=Lax", "Secure"]
    );
    let removed = site.post(&mut browser, "/logout").await.cookie();
    assert!(removed.starts_with("__Host-shop=;"), "{removed}");
    assert_eq!(
        attributes(&removed),
        ["HttpOnly", "Max-Age=0", "Path=/", "SameSite=Lax", "Secure"]
    );
}

#[tokio::test]
async fn options_apply_to_the_cookie_and_to_its_removal() {
    let site = Site::new().await;
    let options = CookieOptions::new()
        .with_domain("example.org")
        .with_path("/shop")
        .with_same_site(SameSite::None)
        .with_partitioned()
        .without_http_only()
        .without_max_age();
    let app = routes().sessions(site.store.layer().with_cookies(options).unwrap());
    let mut browser = Browser::default();
    let line = browser.send(&app, Method::POST, "/visit").await.cookie();
    assert!(line.starts_with("__Secure-shop="), "{line}");
    let expected = [
        "Domain=example.org",
        "Partitioned",
        "Path=/shop",
        "SameSite=None",
        "Secure",
    ];
    assert_eq!(attributes(&line), expected);
    let line = browser.send(&app, Method::POST, "/logout").await.cookie();
    assert!(line.starts_with("__Secure-shop=;"), "{line}");
    let mut expected = [&expected[..], &["Max-Age=0"]].concat();
    expected.sort_unstable();
    assert_eq!(attributes(&line), expected);

    let app = routes().sessions(
        site.store
            .layer()
            .with_cookies(CookieOptions::new().without_secure())
            .unwrap(),
    );
    let line = Browser::default().send(&app, Method::POST, "/visit").await.cookie();
    assert!(line.starts_with("shop="), "{line}");
    assert!(!line.contains("Secure"), "{line}");
}

#[tokio::test]
async fn a_response_that_sets_a_cookie_is_no_store_unless_the_handler_sets_cache_control() {
    let site = Site::new().await;
    let mut browser = Browser::default();
    let reply = site.post(&mut browser, "/visit").await;
    assert_eq!(reply.headers[CACHE_CONTROL], "no-store");
    let reply = site.get(&mut browser, "/read").await;
    assert_eq!(reply.headers[CACHE_CONTROL], "private");
    let handler = |mut shop: ShopSession| async move {
        *shop.visits_mut() += 1;
        [(CACHE_CONTROL, "private")]
    };
    let site = site.serving(Router::new().route("/", post(handler)));
    let reply = site.send(Method::POST, "/", None).await;
    reply.cookie();
    assert_eq!(reply.headers[CACHE_CONTROL], "private");
}

#[tokio::test]
async fn the_cookie_header_is_marked_as_sensitive() {
    let site = Site::new().await;
    let reply = site.post(&mut Browser::default(), "/visit").await;
    assert!(reply.headers[SET_COOKIE].is_sensitive());
}

#[tokio::test]
async fn the_cookie_is_found_among_other_cookies() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let own = browser.cookie.clone().unwrap();
    let headers: [&[&[u8]]; 6] = [
        &[b"a=b; ", own.as_bytes(), b"; c=d"],
        &[b"a=b;", own.as_bytes(), b";"],
        // A cookie of another application on the domain, in UTF-8 or Latin-1.
        &[b"city=Z\xc3\xbcrich; ", own.as_bytes()],
        &[own.as_bytes(), b"; city=Z\xfcrich"],
        // A cookie of the same name, for a parent domain or another path.
        &[b"__Host-shop=hello; ", own.as_bytes()],
        &[b"__Host-shop=; __Host-shop=", &[b'A'; 64], b"; ", own.as_bytes()],
    ];
    for parts in headers {
        let header = parts.concat();
        let request = Request::get("/read").header(COOKIE, &header[..]).body(Body::empty());
        let response = site.app.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(Reply::of(response).await.visits(), 1, "{}", header.escape_ascii());
    }
    // HTTP/2 may send a header for each cookie.
    let request = Request::get("/read").header(COOKIE, "a=b").header(COOKIE, &own);
    let response = site.app.clone().oneshot(request.body(Body::empty()).unwrap()).await;
    assert_eq!(Reply::of(response.unwrap()).await.visits(), 1);
}

#[tokio::test]
async fn only_a_few_cookies_of_one_name_are_verified() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let header = format!("{}{}", "__Host-shop=x; ".repeat(100), browser.cookie.unwrap());
    assert!(site.send(Method::GET, "/read", Some(&header)).await.is_new());
    site.assert_untouched();
}

#[derive(Session)]
#[session(name = "admin", version = 1)]
#[cascade(memcache, datastore)]
struct Admin {
    visits: u64,
}

#[tokio::test]
async fn the_mac_is_bound_to_the_session_name() {
    let site = Site::new().await;
    let browser = site.visitor().await;
    let read = |admin: TypedSession<Admin>| async move { admin.is_new().to_string() };
    let site = site.serving(Router::new().route("/", get(read)));
    let cookie = format!("__Host-admin={}", browser.value());
    assert_eq!(site.send(Method::GET, "/", Some(&cookie)).await.body, "true");
    site.assert_untouched();
}

#[tokio::test]
async fn several_sessions_of_one_request_get_a_cookie_each() {
    let site = Site::new().await;
    let handler = |mut shop: ShopSession, mut admin: TypedSession<Admin>| async move {
        *shop.visits_mut() += 1;
        *admin.visits_mut() += 2;
    };
    let site = site.serving(Router::new().route("/", post(handler)));
    let cookies = site.send(Method::POST, "/", None).await.cookies();
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    assert!(cookies[0].starts_with("__Host-shop=") && cookies[1].starts_with("__Host-admin="));
    assert_eq!(site.records.keys().len(), 2);
}

#[tokio::test]
async fn a_layer_that_is_applied_twice_acts_once() {
    let site = Site::new().await;
    let count = |mut shop: ShopSession, request: axum::extract::Request, next: Next| async move {
        *shop.visits_mut() += 1;
        drop(shop);
        next.run(request).await
    };
    let app: Router = Router::new()
        .route("/visit", post(visit))
        .sessions(site.store.clone())
        .layer(from_fn_with_state(site.store.clone(), count))
        .layer(site.store.layer());
    let mut browser = Browser::default();
    browser.send(&app, Method::POST, "/visit").await.cookie();
    assert_eq!(browser.send(&app, Method::POST, "/visit").await.visits(), 4);
    assert_eq!(site.records.keys().len(), 1);
}

#[tokio::test]
async fn the_first_key_signs_and_all_verify() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let rekeyed = |numbers: &'static [u8]| {
        let (cache, durable) = site.tiers.clone();
        let builder = session_runtime::CascadeStore::builder(keys(numbers));
        async move {
            builder
                .memcache(cache)
                .datastore(durable)
                .clock(site_clock())
                .build()
                .await
        }
    };
    let new_first = routes().sessions(rekeyed(&[2, 1]).await.unwrap());
    let old_alone = routes().sessions(rekeyed(&[1]).await.unwrap());
    let new_alone = routes().sessions(rekeyed(&[2]).await.unwrap());
    assert_eq!(browser.send(&new_first, Method::POST, "/visit").await.visits(), 2);
    let mut second = Browser::default();
    second.send(&new_first, Method::POST, "/visit").await;
    assert!(second.clone().send(&old_alone, Method::GET, "/read").await.is_new());
    assert_eq!(second.send(&new_alone, Method::GET, "/read").await.visits(), 1);
    assert!(
        browser.send(&new_alone, Method::GET, "/read").await.is_new(),
        "the old key is not accepted"
    );
}

fn site_clock() -> session_runtime::ManualClock {
    session_runtime::ManualClock::default()
}
