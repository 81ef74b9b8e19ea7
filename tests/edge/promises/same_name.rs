//! Two structs of one name in one store share a cookie and a key: they are refused, never merged by accident.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use session_runtime::{CascadeStore, Session, TypedSession};
use tracing::Level;

use super::log::Log;
use crate::site::{Browser, Shop, ShopSession, Site, routes};

mod second {
    use super::Session;

    /// Named as the site's own, by accident.
    #[derive(Session)]
    #[session(name = "shop", version = 1)]
    #[cascade(memcache, datastore)]
    pub(super) struct Shop {
        pub(super) visits: u64,
        pub(super) colour: Option<String>,
    }
}

type Second = TypedSession<second::Shop>;

fn both() -> Router<CascadeStore> {
    let second = |mut shop: Second| async move {
        *shop.visits_mut() += 10;
        shop.set_colour(Some("red".into()));
    };
    let at_once = |mut one: ShopSession, mut two: Second| async move {
        *one.visits_mut() += 1;
        *two.visits_mut() += 10;
    };
    routes().route("/second", post(second)).route("/both", post(at_once))
}

#[tokio::test]
async fn the_second_is_refused_at_its_first_use_with_both_type_names() {
    let site = Site::new().await.serving(both());
    let mut browser = site.visitor().await;
    let log = Log::capture();
    let reply = site.post(&mut browser, "/second").await;
    assert_eq!(
        reply.status,
        StatusCode::INTERNAL_SERVER_ERROR,
        "two structs of one name are merged: {reply:?}"
    );
    reply.assert_no_cookie();
    let errors = log.of(Level::ERROR);
    for name in [std::any::type_name::<Shop>(), std::any::type_name::<second::Shop>()] {
        assert!(errors.contains(name), "{name} is not named: {errors}");
        assert!(!reply.body.contains(name), "{reply:?}");
    }
    // The first is as it was, and goes on.
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 1);
    assert_eq!(site.post(&mut browser, "/visit").await.visits(), 2);
}

#[tokio::test]
async fn whichever_comes_first_the_other_is_refused() {
    let site = Site::new().await.serving(both());
    let mut browser = Browser::default();
    site.post(&mut browser, "/second").await.cookie();
    let reply = site.post(&mut browser, "/visit").await;
    assert_eq!(
        reply.status,
        StatusCode::INTERNAL_SERVER_ERROR,
        "two structs of one name are merged: {reply:?}"
    );
    assert_eq!(site.post(&mut browser, "/second").await.status, StatusCode::OK);
}

#[tokio::test]
async fn both_in_one_request_set_no_cookie() {
    let site = Site::new().await.serving(both());
    let reply = site.post(&mut Browser::default(), "/both").await;
    assert_eq!(
        reply.status,
        StatusCode::INTERNAL_SERVER_ERROR,
        "two structs of one name are both served: {reply:?} with {} cookies of one name",
        reply.cookies().len()
    );
    reply.assert_no_cookie();
    assert_eq!(site.records.keys(), Vec::<String>::new());
}
