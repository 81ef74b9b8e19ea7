//! The way out of a session that cannot be read: the visitor gets a new one, and the bytes stay for the operator.

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use session_runtime::{CascadeStore, RouterExt, Session, SessionRejection, TypedSession};

use super::sid;
use crate::site::{Browser, Shop, ShopSession, Site, keys};

mod before {
    use super::Session;

    #[derive(Session)]
    #[session(name = "shop", version = 1)]
    #[cascade(memcache, datastore)]
    pub(super) struct Shop {
        pub(super) visits: String,
    }
}

/// Takes the session, or gives the visitor a new one in its place.
async fn visit_anyway(shop: Result<ShopSession, SessionRejection>) -> Response {
    let fresh = match shop {
        Ok(shop) => Ok(shop),
        Err(rejection) => rejection.replace::<Shop>(),
    };
    match fresh {
        Ok(mut shop) => {
            *shop.visits_mut() += 1;
            format!("{} {}", shop.is_new(), shop.visits()).into_response()
        }
        Err(rejection) => rejection.into_response(),
    }
}

fn exit() -> Router<CascadeStore> {
    Router::new().route("/", post(visit_anyway))
}

#[tokio::test]
async fn of_a_record_that_does_not_decode_there_is_a_way_out() {
    let site = Site::new().await;
    let write = |mut shop: TypedSession<before::Shop>| async move { shop.set_visits("many".into()) };
    let last_release = site.node(|builder| builder).await;
    let last_release = last_release.serving(Router::new().route("/", post(write)));
    let mut browser = Browser::default();
    last_release.post(&mut browser, "/").await.cookie();
    let old = browser.clone();
    let key = site.records.keys().remove(0);
    let stored = site.records.value(&key);
    let site = site.serving(exit());
    let reply = site.post(&mut browser, "/").await;
    assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, "true 1"));
    reply.cookie();
    assert_ne!(sid(&browser), sid(&old));
    assert_eq!(site.post(&mut browser, "/").await.body, "false 2");
    assert_eq!(site.records.value(&key), stored, "the bytes stay for the operator");
}

#[tokio::test]
async fn of_a_record_under_a_key_that_was_dropped_there_is_one_too() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let key = site.records.keys().remove(0);
    let mut bytes = site.records.value(&key).unwrap().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    site.records.overwrite(&key, bytes.clone());
    let store = CascadeStore::builder(keys(&[1]))
        .memcache(session_runtime::tier::embedded::LocalCache::new().with_clock(site.clock.clone()))
        .datastore(site.records.clone())
        .clock(site.clock.clone());
    let app = exit().sessions(store.build().await.unwrap());
    let reply = browser.send(&app, axum::http::Method::POST, "/").await;
    assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, "true 1"));
    reply.cookie();
    assert_eq!(site.records.value(&key).unwrap(), bytes);
}

/// An outage is no way out: there may be a session, and it is not to be replaced by an empty one.
#[tokio::test]
async fn of_an_outage_there_is_none() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.cache.down();
    site.durable.down();
    let reply = site.serving(exit()).post(&mut browser, "/").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    reply.assert_no_cookie();
}
