//! A handle that was taken earlier in the request is a snapshot; `refresh` shows what others have staged since.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn_with_state};
use axum::routing::post;

use crate::site::{ShopSession, Site};

#[tokio::test]
async fn a_handle_that_is_held_across_the_handler_shows_its_changes_when_refreshed() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let hold = {
        let seen = seen.clone();
        move |mut shop: ShopSession, request: Request, next: Next| {
            let seen = seen.clone();
            async move {
                let response = next.run(request).await;
                seen.lock().unwrap().push((*shop.visits(), shop.note().clone()));
                shop.refresh().unwrap();
                seen.lock().unwrap().push((*shop.visits(), shop.note().clone()));
                response
            }
        }
    };
    let handler = |mut shop: ShopSession| async move {
        *shop.visits_mut() += 1;
        shop.set_note(Some("hello".to_owned()));
    };
    let layer = from_fn_with_state(site.store.clone(), hold);
    let holding = site.serving(Router::new().route("/", post(handler)).layer(layer));
    holding.post(&mut browser, "/").await;
    let expected = [(1, None), (2, Some("hello".to_owned()))];
    assert_eq!(*seen.lock().unwrap(), expected, "a snapshot, and what was staged since");
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 2);
}

#[tokio::test]
async fn a_refresh_keeps_the_changes_of_the_handle_itself_and_counts_them_once() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let handler = |mut one: ShopSession, mut two: ShopSession| async move {
        *one.visits_mut() += 1;
        *two.visits_mut() += 1;
        drop(two);
        one.refresh().unwrap();
        one.refresh().unwrap();
        one.visits().to_string()
    };
    let both = site.serving(Router::new().route("/", post(handler)));
    assert_eq!(both.post(&mut browser, "/").await.body, "3");
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 3);
}

#[tokio::test]
async fn a_refresh_shows_that_another_handle_has_destroyed_the_session() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let handler = |mut one: ShopSession, mut two: ShopSession| async move {
        two.destroy();
        let before = *one.visits();
        one.refresh().unwrap();
        format!("{before} {} {}", one.visits(), one.is_new())
    };
    let both = site.serving(Router::new().route("/", post(handler)));
    assert_eq!(both.post(&mut browser, "/").await.body, "1 0 true");
}
