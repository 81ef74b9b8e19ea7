//! What several looks at one session within one request show.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::routing::post;
use session_runtime::CascadeStore;
use session_runtime::tier::TierErrorKind;

use crate::site::{ShopSession, Site};

/// Another node wrote while it could not reach the cache, which has the old value yet.
async fn with_an_old_value_in_the_cache(site: &Site) -> crate::site::Browser {
    let mut browser = site.visitor().await;
    let other = site.node(|builder| builder).await;
    site.cache.down();
    assert_eq!(other.post(&mut browser, "/visit").await.visits(), 2);
    site.cache.up();
    browser
}

#[tokio::test]
async fn a_second_look_sees_nothing_older_than_the_first() {
    let site = Site::new().await;
    let mut browser = with_an_old_value_in_the_cache(&site).await;
    // The first look is answered by the durable tier, the second by the cache.
    site.cache.fail_once("get", TierErrorKind::Unavailable, false);
    let first = Arc::new(Mutex::new(0));
    let look = {
        let first = first.clone();
        move |shop: ShopSession, request: Request, next: Next| {
            *first.lock().unwrap() = *shop.visits();
            drop(shop);
            next.run(request)
        }
    };
    let handler = |shop: ShopSession| async move { shop.visits().to_string() };
    let layer = from_fn_with_state(site.store.clone(), look);
    let looking = site.serving(Router::new().route("/", post(handler)).layer(layer));
    let second = looking.post(&mut browser, "/").await.body;
    assert_eq!(*first.lock().unwrap(), 2, "the first look is new");
    assert_eq!(second, "2", "the second look is older than the first");
}

#[tokio::test]
async fn a_look_after_a_commit_sees_nothing_older_than_the_commit() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let cache = site.cache.clone();
    let handler = move |State(store): State<CascadeStore>, mut shop: ShopSession, request: Request| async move {
        *shop.visits_mut() += 1;
        cache.down();
        shop.commit().await.unwrap();
        cache.up();
        let committed = *shop.visits();
        drop(shop);
        let (mut parts, _) = request.into_parts();
        let again = ShopSession::from_request_parts(&mut parts, &store).await.unwrap();
        format!("{committed} {}", again.visits())
    };
    let looking = site.serving(Router::new().route("/", post(handler)));
    let reply = looking.post(&mut browser, "/").await;
    assert_eq!(reply.body, "2 2", "a look after the commit does not see it");
}
