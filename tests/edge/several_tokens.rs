//! Several tokens of which one is unreadable; destroys that race; what a type says of its life and cookie.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::routing::post;
use session_runtime::{CookieOptions, HeaderCarrier, RouterExt, Session, TypedSession};
use session_tests::instrumented::Gate;

use crate::site::{Browser, ShopSession, Site};

const MINUTE: Duration = Duration::from_secs(60);

/// A login that destroys first, double-clicked: the first click has ended the session that both knew.
#[tokio::test]
async fn of_two_logins_that_destroy_first_both_succeed() {
    for first_destroys in [true, false] {
        let site = Site::new().await;
        let browser = site.visitor().await;
        let gate = Gate::new();
        let handler = {
            let gate = gate.clone();
            move |mut shop: ShopSession| async move {
                gate.pass().await;
                shop.destroy();
                shop.set_user(Some(7));
            }
        };
        let own = site.serving(Router::new().route("/", post(handler)));
        let two = own.spawn_post(&browser, "/");
        gate.reached().await;
        if first_destroys {
            let one = own.spawn_post(&browser, "/");
            gate.reached().await;
            gate.release();
            gate.release();
            assert_eq!(one.await.unwrap().status, StatusCode::OK);
        } else {
            site.post(&mut browser.clone(), "/login/7").await.cookie();
            gate.release();
        }
        let reply = two.await.unwrap();
        assert_eq!(reply.status, StatusCode::OK, "first destroys: {first_destroys}");
    }
}

#[derive(Session)]
#[session(name = "booth", idle = "5m", cookie(same_site = none))]
#[cascade(datastore)]
struct Booth {
    visits: u64,
}

#[tokio::test]
async fn a_new_session_says_when_it_ends_as_its_type_does() {
    let site = Site::new().await;
    let kept = Arc::new(Mutex::new(Vec::new()));
    let ends = {
        let kept = kept.clone();
        move |mut booth: TypedSession<Booth>| async move {
            kept.lock().unwrap().push(booth.expires_at());
            booth.set_visits(1);
        }
    };
    let app = site.serving(Router::new().route("/", post(ends)));
    let mut browser = Browser::default();
    app.post(&mut browser, "/").await.cookie();
    app.post(&mut browser, "/").await;
    let ends = kept.lock().unwrap();
    assert_eq!(ends[0], ends[1], "before it is stored, and after");
}

#[tokio::test]
async fn a_types_cookie_is_no_matter_where_headers_carry_it() {
    let site = Site::new().await;
    let cookies = CookieOptions::new().without_secure();
    let layer = site
        .store
        .layer()
        .with_cookies(cookies)
        .unwrap()
        .with_header(HeaderCarrier::authorization());
    let app: Router = Router::new()
        .route(
            "/",
            post(|mut booth: TypedSession<Booth>| async move { booth.set_visits(1) }),
        )
        .sessions(layer);
    let reply = Browser::default().send(&app, Method::POST, "/").await;
    assert_eq!(reply.status, StatusCode::OK);
}

/// Spoils the record of this browser's session, lets its cache entry expire, and returns the record's key.
fn make_unreadable(site: &Site, browser: &Browser) -> String {
    let sid = &browser.value()[..20];
    let key = site.records.keys().into_iter().find(|key| key.contains(sid)).unwrap();
    site.records.overwrite(&key, b"garbage".to_vec());
    site.clock.advance(6 * MINUTE);
    key
}

/// A record under a key that was dropped, and a live session behind it.
#[tokio::test]
async fn behind_an_unreadable_one_the_live_one_is_found() {
    let site = Site::new().await;
    let (one, two) = (site.visitor().await, site.visitor().await);
    make_unreadable(&site, &one);
    let header = format!("{}; {}", one.cookie.clone().unwrap(), two.cookie.clone().unwrap());
    let reply = site.send(Method::GET, "/read", Some(&header)).await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn beside_an_unreadable_one_the_live_one_can_be_destroyed() {
    let site = Site::new().await;
    let (one, two) = (site.visitor().await, site.visitor().await);
    let key = make_unreadable(&site, &one);
    let header = format!("{}; {}", two.cookie.clone().unwrap(), one.cookie.clone().unwrap());
    let reply = site.send(Method::POST, "/logout", Some(&header)).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.cookie().contains("Max-Age=0"));
    assert_eq!(site.records.keys(), [key], "the bytes stay for the operator");
}
