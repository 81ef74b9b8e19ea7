//! What an application's own tests are given: `session_runtime::testing`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::COOKIE;
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use session_runtime::conformance::{self, Options};
use session_runtime::testing::{MemoryTier, TestError, TestStore, response_cookies};
use session_runtime::{
    CascadeStore, CommitError, CookieOptions, KeyRing, LocalCache, RejectionKind, RouterExt, Session, TypedSession,
};
use session_tests::instrumented::Instrumented;
use tower::ServiceExt;

use crate::site::{Shop, routes, send};

async fn respond(app: &Router, path: &str, cookie: &str) -> Response {
    let request = Request::post(path).header(COOKIE, cookie).body(Body::empty());
    app.clone().oneshot(request.unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_test_starts_signed_in_and_reads_what_the_application_wrote() {
    let sessions = TestStore::new().await.unwrap();
    let app = routes().sessions(sessions.store());
    let sign_in = |shop: &mut TypedSession<Shop>| {
        shop.set_user(Some(7));
        shop.push_notices("Welcome".to_owned());
    };
    let cookie = sessions.cookie::<Shop>(sign_in).await.unwrap();
    assert!(cookie.starts_with("__Host-shop="), "{cookie}");
    let reply = send(&app, Method::POST, "/visit", Some(&cookie)).await;
    assert_eq!((reply.json()["user"].as_u64(), reply.visits()), (Some(7), 1));
    let shop = sessions.read::<Shop>(&cookie).await.unwrap().unwrap();
    assert_eq!((shop.user, shop.visits, shop.notices.len()), (Some(7), 1, 1));
    // To look at it was no request of the visitor's: the notices are there yet.
    assert_eq!(sessions.read::<Shop>(&cookie).await.unwrap().unwrap().notices.len(), 1);
}

#[tokio::test]
async fn a_session_that_nothing_was_written_to_exists_too() {
    let sessions = TestStore::new().await.unwrap();
    let cookie = sessions.cookie::<Shop>(|_| ()).await.unwrap();
    assert_eq!(sessions.read::<Shop>(&cookie).await.unwrap().unwrap().visits, 0);
    let forged = cookie.replace("__Host-shop=", "__Host-shop=A");
    assert!(sessions.read::<Shop>(&forged).await.unwrap().is_none());
    assert!(sessions.read::<Shop>("").await.unwrap().is_none());
    assert!(matches!(sessions.read::<Shop>("\n").await, Err(TestError::Cookie)));
}

#[tokio::test]
async fn the_clock_moves_the_sessions_of_the_application_to_their_end() {
    let sessions = TestStore::new().await.unwrap();
    let app = routes().sessions(sessions.store());
    let cookie = sessions.cookie::<Shop>(|shop| shop.set_visits(4)).await.unwrap();
    sessions.clock().advance(Duration::from_secs(19 * 60));
    // Neither look renews the session.
    for _ in 0..2 {
        assert!(sessions.read::<Shop>(&cookie).await.unwrap().is_some());
    }
    sessions.clock().advance(Duration::from_secs(60));
    assert!(sessions.read::<Shop>(&cookie).await.unwrap().is_none());
    assert_eq!(send(&app, Method::POST, "/visit", Some(&cookie)).await.visits(), 1);
}

#[tokio::test]
async fn the_next_request_sends_what_a_response_has_set() {
    let sessions = TestStore::new().await.unwrap();
    let app = routes().sessions(sessions.store());
    let cookie = sessions.cookie::<Shop>(|shop| shop.set_visits(4)).await.unwrap();
    let response = respond(&app, "/login/7", &cookie).await;
    let signed_in = response_cookies(&response).unwrap();
    assert!(sessions.read::<Shop>(&cookie).await.unwrap().is_none());
    let shop = sessions.read::<Shop>(&signed_in).await.unwrap().unwrap();
    assert_eq!((shop.user, shop.visits), (Some(7), 4));
    assert_eq!(response_cookies(&respond(&app, "/visit", &signed_in).await), None);
    let response = respond(&app, "/logout", &signed_in).await;
    assert_eq!(response_cookies(&response), None, "a removal is no cookie to send");
    let response = Response::builder()
        .header("set-cookie", "a=b; Path=/")
        .header("set-cookie", "c=d; Max-Age=9");
    assert_eq!(response_cookies(&response.body(()).unwrap()).unwrap(), "a=b; c=d");
}

#[tokio::test]
async fn cookies_are_those_of_the_layer() {
    let sessions = TestStore::new().await.unwrap();
    let layer = sessions.layer().with_cookies(CookieOptions::new().without_secure());
    let sessions = sessions.with_layer(layer.unwrap());
    let app = routes().sessions(sessions.layer());
    let cookie = sessions.cookie::<Shop>(|shop| shop.set_visits(4)).await.unwrap();
    assert!(cookie.starts_with("shop="), "{cookie}");
    assert_eq!(send(&app, Method::POST, "/visit", Some(&cookie)).await.visits(), 5);
    assert_eq!(sessions.read::<Shop>(&cookie).await.unwrap().unwrap().visits, 5);
}

#[derive(Session)]
#[cascade(request)]
struct Fleeting {
    visits: u64,
}

#[tokio::test]
async fn what_goes_wrong_is_told() {
    let (durable, control) = Instrumented::new(MemoryTier::new());
    let builder = CascadeStore::builder(KeyRing::random().unwrap()).datastore(durable);
    let sessions = TestStore::on(builder.max_len(200)).await.unwrap();
    let error = sessions.cookie::<OnDatastore>(TypedSession::discard).await.unwrap_err();
    assert!(
        matches!(
            error,
            TestError::NoCookie {
                session: "on-datastore"
            }
        ),
        "{error}"
    );
    let error = sessions
        .cookie::<Fleeting>(|fleeting| fleeting.set_visits(1))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("`fleeting`"), "{error}");
    let error = sessions
        .cookie::<OnDatastore>(|shop| shop.set_note("x".repeat(500)))
        .await
        .unwrap_err();
    assert!(
        matches!(error, TestError::Commit(CommitError::TooLarge { .. })),
        "{error}"
    );
    let cookie = sessions
        .cookie::<OnDatastore>(|shop| shop.set_note("x".into()))
        .await
        .unwrap();
    control.down();
    let error = sessions
        .cookie::<OnDatastore>(|shop| shop.set_note("x".into()))
        .await
        .unwrap_err();
    assert!(
        matches!(error, TestError::Commit(CommitError::Unavailable { .. })),
        "{error}"
    );
    let Err(error) = sessions.read::<OnDatastore>(&cookie).await else {
        panic!("it was read")
    };
    let TestError::Load(rejection) = &error else {
        panic!("{error}")
    };
    assert!(matches!(rejection.kind(), RejectionKind::Load(_)), "{error}");
}

#[derive(Session)]
#[cascade(datastore)]
struct OnDatastore {
    note: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_tier_in_memory_conforms() {
    let tier = Arc::new(MemoryTier::new());
    conformance::durable_tier(&tier, &Options::new()).await.unwrap();
}

#[tokio::test]
async fn an_outage_can_be_had_and_ended() {
    let durable = MemoryTier::new();
    let builder = CascadeStore::builder(KeyRing::random().unwrap())
        .memcache(LocalCache::new())
        .datastore(durable.clone());
    let sessions = TestStore::on(builder).await.unwrap();
    let app = routes().sessions(sessions.store());
    let cookie = sessions.cookie::<Shop>(|shop| shop.set_visits(4)).await.unwrap();
    let visit = async || send(&app, Method::POST, "/visit", Some(&cookie)).await;
    assert_eq!(visit().await.visits(), 5);
    durable.set_down(true);
    let refused = visit().await.status;
    assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE, "nothing is written");
    let cached = sessions.read::<Shop>(&cookie).await.unwrap().unwrap();
    assert_eq!(cached.visits, 5, "from the cache");
    sessions.clock().advance(Duration::from_secs(6 * 60));
    let read = sessions.read::<Shop>(&cookie).await;
    assert!(
        matches!(read, Err(TestError::Load(_))),
        "the cache is not believed any more"
    );
    durable.set_down(false);
    assert_eq!(visit().await.visits(), 6);
}
