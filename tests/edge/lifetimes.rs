//! Lifetimes and cookies that a type of session has of its own, and those of one visitor.

use std::time::Duration;

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::routing::{get, post};
use session_runtime::{CookieOptions, Persistence, RouterExt, Session, TypedSession};

use crate::site::{Browser, Reply, ShopSession, Site};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Session)]
#[session(
    name = "admin",
    idle = "5m",
    max_age = "12m",
    cookie(name = "staff", same_site = strict, path = "/admin")
)]
#[cascade(memcache, datastore)]
struct Admin {
    #[session(merge = add)]
    visits: u64,
}

fn admin(site: &Site) -> Site {
    let visit = |mut admin: TypedSession<Admin>| async move {
        *admin.visits_mut() += 1;
        admin.visits().to_string()
    };
    let read = |admin: TypedSession<Admin>| async move { admin.visits().to_string() };
    site.serving(Router::new().route("/visit", post(visit)).route("/read", get(read)))
}

#[tokio::test]
async fn a_type_with_a_shorter_life_ends_before_the_others() {
    let site = Site::new().await;
    let app = admin(&site);
    let mut browser = Browser::default();
    app.post(&mut browser, "/visit").await.cookie();
    site.clock.advance(Duration::from_secs(299));
    assert_eq!(app.get(&mut browser, "/read").await.body, "1");
    site.clock.advance(5 * MINUTE);
    assert_eq!(app.get(&mut browser, "/read").await.body, "0", "its idle time is over");

    let mut browser = Browser::default();
    let line = app.post(&mut browser, "/visit").await.cookie();
    assert!(line.contains("Max-Age=720"), "{line}");
    for _ in 0..3 {
        site.clock.advance(3 * MINUTE);
        assert_eq!(app.get(&mut browser, "/read").await.body, "1");
    }
    site.clock.advance(3 * MINUTE);
    assert_eq!(app.get(&mut browser, "/read").await.body, "0", "so is its greatest age");
}

#[tokio::test]
async fn a_type_has_a_cookie_of_its_own() {
    let site = Site::new().await;
    let line = admin(&site).post(&mut Browser::default(), "/visit").await.cookie();
    // Another path than `/` takes another prefix.
    assert!(line.starts_with("__Secure-staff="), "{line}");
    assert!(
        line.contains("SameSite=Strict") && line.contains("Path=/admin"),
        "{line}"
    );
}

/// What the derive cannot know: the options of the layer that the type's own are put into.
mod embedded_elsewhere {
    use session_runtime::Session;

    #[derive(Session)]
    #[session(name = "widget", cookie(same_site = none))]
    #[cascade(memcache)]
    pub(super) struct Widget {
        pub(super) note: Option<String>,
    }
}

#[tokio::test]
async fn a_types_cookie_that_the_layer_cannot_set_is_refused_at_its_first_use() {
    let site = Site::new().await;
    let layer = site.store.layer().with_cookies(CookieOptions::new().without_secure());
    let write = |mut widget: TypedSession<embedded_elsewhere::Widget>| async move { widget.set_note(None) };
    let app = Router::new().route("/", post(write)).sessions(layer.unwrap());
    let reply = Browser::default().send(&app, Method::POST, "/").await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    reply.assert_no_cookie();
}

#[tokio::test]
async fn sessions_of_visitors_end_sooner_where_the_builder_says_so() {
    let site = Site::with(|builder| builder.anonymous_idle(2 * MINUTE)).await;
    let mut visitor = site.visitor().await;
    let mut user = site.visitor().await;
    site.post(&mut user, "/login/7").await.cookie();
    site.clock.advance(2 * MINUTE);
    assert!(site.get(&mut visitor, "/read").await.is_new());
    assert_eq!(site.get(&mut user, "/read").await.visits(), 1);
}

fn signing_in(site: &Site) -> Site {
    let sign_in = |persistence: Persistence| {
        post(move |mut shop: ShopSession| async move {
            shop.set_user(Some(7));
            shop.set_persistence(persistence);
        })
    };
    let change =
        |persistence: Persistence| post(move |mut shop: ShopSession| async move { shop.set_persistence(persistence) });
    site.serving(
        Router::new()
            .route("/remember", sign_in(Persistence::Remembered))
            .route("/forget", sign_in(Persistence::BrowserSession))
            .route("/change", change(Persistence::Remembered)),
    )
}

fn is_persistent(reply: &Reply) -> bool {
    reply.cookie().contains("Max-Age=")
}

#[tokio::test]
async fn a_visitor_is_remembered_beyond_the_browser_or_not() {
    let site = Site::new().await;
    let app = signing_in(&site);
    let mut browser = Browser::default();
    assert!(is_persistent(&app.post(&mut browser, "/remember").await));
    assert!(!is_persistent(&app.post(&mut browser, "/forget").await));
    // It is kept in the record, for the cookies to come.
    assert!(!is_persistent(&site.post(&mut browser, "/rotate").await));
    assert!(!is_persistent(&site.post(&mut browser, "/login/7").await));
    // A change of it alone sends the same cookie with another lifetime.
    let value = browser.value().to_owned();
    assert!(is_persistent(&app.post(&mut browser, "/change").await));
    assert_eq!(browser.value(), value);
    app.post(&mut browser, "/change").await.assert_no_cookie();
    assert!(is_persistent(&site.post(&mut browser, "/rotate").await));
}

#[tokio::test]
async fn the_removal_of_a_cookie_that_ends_with_the_browser_is_one() {
    let site = Site::new().await;
    let mut browser = Browser::default();
    signing_in(&site).post(&mut browser, "/forget").await.cookie();
    let line = site.post(&mut browser, "/logout").await.cookie();
    assert!(line.contains("Max-Age=0"), "{line}");
}
