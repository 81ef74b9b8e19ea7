//! Several loads of one session within one request.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use session_runtime::{CascadeStore, Session, SessionRejection, SessionState, StatefulRouterExt, TypedSession};

use crate::site::{Browser, ShopSession, Site, send};

/// The site's session with the `request` tier.
#[derive(Session)]
#[session(name = "shop", version = 1)]
#[cascade(request, memcache, datastore)]
struct Kept {
    #[session(merge = add)]
    visits: u64,
    note: Option<String>,
    #[session(privileged)]
    user: Option<u64>,
    #[session(flash)]
    notices: Vec<String>,
    #[session(merge = reject)]
    step: u64,
}

async fn count(mut shop: ShopSession, request: Request, next: Next) -> Response {
    *shop.visits_mut() += 1;
    drop(shop);
    next.run(request).await
}

async fn count_kept(mut shop: TypedSession<Kept>, request: Request, next: Next) -> Response {
    *shop.visits_mut() += 1;
    drop(shop);
    next.run(request).await
}

async fn visit(mut shop: ShopSession) -> String {
    *shop.visits_mut() += 1;
    shop.visits().to_string()
}

async fn visit_kept(mut shop: TypedSession<Kept>) -> String {
    *shop.visits_mut() += 1;
    shop.visits().to_string()
}

/// A site whose middleware counts a visit, and whose handler counts another.
fn plain(site: &Site) -> Site {
    site.serving(
        Router::new()
            .route("/", post(visit))
            .layer(from_fn_with_state(site.store.clone(), count)),
    )
}

fn kept(site: &Site) -> Site {
    site.serving(
        Router::new()
            .route("/", post(visit_kept))
            .layer(from_fn_with_state(site.store.clone(), count_kept)),
    )
}

#[tokio::test]
async fn unsaved_changes_are_shared_with_and_without_the_request_tier() {
    let site = Site::new().await;
    let other = site.node(|builder| builder).await;
    for app in [plain(&site), kept(&other)] {
        let mut browser = Browser::default();
        for expected in ["2", "4", "6"] {
            let reply = app.post(&mut browser, "/").await;
            assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, expected));
        }
        assert_eq!(site.get(&mut browser, "/read").await.visits(), 6);
    }
}

#[tokio::test]
async fn a_second_load_in_a_request_causes_no_call_with_the_request_tier_only() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    plain(&site).post(&mut browser, "/").await;
    site.settle().await;
    assert_eq!(site.durable.take_calls(), [("update", 1)]);
    assert_eq!(site.cache.take_calls(), [("get", 2), ("swap", 1)]);
    let other = site.node(|builder| builder).await;
    kept(&other).post(&mut browser, "/").await;
    other.settle().await;
    assert_eq!(site.durable.take_calls(), [("update", 1)]);
    assert_eq!(site.cache.take_calls(), [("get", 1), ("swap", 1)]);
}

/// A middleware that loads the session and sends another request before the handler runs.
fn interrupted<T: Send + 'static>(
    site: &Site,
    browser: &Browser,
    path: &'static str,
) -> impl Fn(T, Request, Next) -> std::pin::Pin<Box<dyn Future<Output = Response> + Send>> + Clone + use<T> {
    let (site, browser) = (site.clone(), browser.clone());
    move |first: T, request: Request, next: Next| {
        let (site, mut browser) = (site.clone(), browser.clone());
        Box::pin(async move {
            drop(first);
            assert_eq!(site.post(&mut browser, path).await.status, StatusCode::OK);
            next.run(request).await
        })
    }
}

#[tokio::test]
async fn a_write_of_another_request_between_two_loads_is_visible_without_the_request_tier_only() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let between = from_fn_with_state(
        site.store.clone(),
        interrupted::<ShopSession>(&site, &browser, "/visit"),
    );
    let app = site.serving(Router::new().route("/", post(visit)).layer(between));
    assert_eq!(app.post(&mut browser, "/").await.body, "3");
    let other = site.node(|builder| builder).await;
    let between = interrupted::<TypedSession<Kept>>(&site, &browser, "/visit");
    let between = from_fn_with_state(other.store.clone(), between);
    let app = other.serving(Router::new().route("/", post(visit_kept)).layer(between));
    assert_eq!(app.post(&mut browser, "/").await.body, "4", "the snapshot is reused");
    assert_eq!(
        site.get(&mut browser, "/read").await.visits(),
        5,
        "and the commit is merged"
    );
}

#[tokio::test]
async fn a_session_destroyed_between_two_loads_is_not_recreated() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let between = from_fn_with_state(
        site.store.clone(),
        interrupted::<ShopSession>(&site, &browser, "/logout"),
    );
    let app = site.serving(Router::new().route("/", post(visit)).layer(between));
    let reply = app.post(&mut browser, "/").await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    reply.assert_no_cookie();
    assert_eq!(site.records.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn changes_that_conflict_do_not_make_the_second_load_empty() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.post(&mut browser, "/note/hello").await;
    let step = {
        let (site, browser) = (site.clone(), browser.clone());
        move |mut shop: ShopSession, request: Request, next: Next| {
            let (site, mut browser) = (site.clone(), browser.clone());
            async move {
                shop.set_step(3);
                drop(shop);
                site.post(&mut browser, "/step/4").await;
                next.run(request).await
            }
        }
    };
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    let handler = {
        let seen = seen.clone();
        move |shop: ShopSession| async move { *seen.lock().unwrap() = shop.note().clone() }
    };
    let app = Router::new().route("/", post(handler));
    let app = site.serving(app.layer(from_fn_with_state(site.store.clone(), step)));
    assert_eq!(app.post(&mut browser, "/").await.status, StatusCode::CONFLICT);
    assert_eq!(seen.lock().unwrap().as_deref(), Some("hello"));
}

#[tokio::test]
async fn two_extractors_of_one_handler_are_both_committed() {
    let site = Site::new().await;
    let handler = |mut one: ShopSession, mut two: ShopSession| async move {
        *one.visits_mut() += 1;
        *two.visits_mut() += 1;
        one.push_notices("one".into());
        two.push_notices("two".into());
    };
    let both = site.serving(Router::new().route("/", post(handler)));
    let mut browser = Browser::default();
    both.post(&mut browser, "/").await.cookie();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 2);
    let notices = |mut shop: ShopSession| async move {
        let mut notices = shop.take_notices();
        notices.sort();
        notices.join(" ")
    };
    let app = site.serving(Router::new().route("/", post(notices)));
    assert_eq!(app.post(&mut browser, "/").await.body, "one two");
    assert_eq!(app.post(&mut browser, "/").await.body, "", "read once");
}

#[tokio::test]
async fn a_change_that_is_undone_is_not_written() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let undo = |mut shop: TypedSession<Kept>| async move { *shop.visits_mut() -= 1 };
    let app = Router::new().route("/", post(undo));
    let app = site.serving(app.layer(from_fn_with_state(site.store.clone(), count_kept)));
    app.post(&mut browser, "/").await.assert_no_cookie();
    assert_eq!(site.durable.take_calls(), []);
}

/// A load is running while the same request commits a rotation of the secret.
#[tokio::test]
async fn a_load_overtaken_by_a_commit_of_the_same_request_is_not_used() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let cache = site.cache.clone();
    let handler = move |State(_): State<CascadeStore>, mut one: ShopSession, request: Request| async move {
        let (mut parts, _) = request.into_parts();
        let gate = cache.block_after("get");
        let load = tokio::spawn(async move {
            use axum::extract::FromRequestParts;
            let store = parts.extensions.get::<CascadeStore>().cloned().unwrap();
            ShopSession::from_request_parts(&mut parts, &store).await.map(drop)
        });
        gate.reached().await;
        one.set_user(Some(7));
        one.commit().await.unwrap();
        gate.release();
        load.await.unwrap().unwrap();
        *one.visits_mut() += 1;
    };
    let app = Router::new().route("/", post(handler));
    let app = site.serving(app.layer(axum::Extension(site.store.clone())));
    assert_eq!(app.post(&mut browser, "/").await.status, StatusCode::OK);
    let reply = site.get(&mut browser, "/read").await;
    assert_eq!((reply.visits(), reply.json()["user"].as_u64()), (2, Some(7)));
}

#[derive(Clone)]
struct AppState {
    greeting: &'static str,
}

impl SessionState for AppState {
    type Store = CascadeStore;
}

#[tokio::test]
async fn a_router_with_a_state_of_its_own_has_sessions_too() {
    let site = Site::new().await;
    let greet = |State(state): State<AppState>, mut shop: ShopSession| async move {
        *shop.visits_mut() += 1;
        format!("{} {}", state.greeting, shop.visits())
    };
    let app = Router::new()
        .route("/", get(greet))
        .session_layer(site.store.clone())
        .with_state(AppState { greeting: "hello" });
    let mut browser = Browser::default();
    for expected in ["hello 1", "hello 2"] {
        assert_eq!(browser.send(&app, Method::GET, "/").await.body, expected);
    }
}

#[tokio::test]
async fn without_a_layer_the_rejection_names_the_remedy() {
    let describe = |shop: Result<ShopSession, SessionRejection>| async move { shop.unwrap_err().to_string() };
    let app = Router::new()
        .route("/", get(|_: ShopSession| async {}))
        .route("/describe", get(describe))
        .with_state(AppState { greeting: "" });
    let reply = send(&app, Method::GET, "/", None).await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    let reply = send(&app, Method::GET, "/describe", None).await;
    assert!(reply.body.contains("session_layer"), "{}", reply.body);
}
