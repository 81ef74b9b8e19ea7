//! Owners in a rolling deploy: an earlier program that knows none, sessions of the cache alone, keys that are rolled.

use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use session_runtime::{CascadeStore, OwnerError, RouterExt, Session, TypedSession};

use super::{accounts, devices, owner, routes, signed_in, who};
use crate::site::{Browser, Site, keys};

/// The account of a program that knew no owners.
mod before {
    use super::*;

    #[derive(Session)]
    #[session(name = "account", version = 1)]
    #[cascade(memcache, datastore)]
    pub(super) struct Account {
        #[session(privileged)]
        pub(super) user: Option<u64>,
        pub(super) note: Option<String>,
    }

    pub(super) fn routes() -> Router<CascadeStore> {
        Router::new()
            .route(
                "/in/{user}",
                post(|mut account: TypedSession<Account>, Path(user): Path<u64>| async move {
                    account.set_user(Some(user));
                }),
            )
            .route(
                "/note/{text}",
                post(
                    |mut account: TypedSession<Account>, Path(text): Path<String>| async move {
                        account.set_note(Some(text));
                    },
                ),
            )
    }
}

#[tokio::test]
async fn who_signed_in_by_an_earlier_program_is_listed_by_the_next_request() {
    let (site, later) = deploy().await;
    let mut browser = signed_in(&site, 7).await;
    assert_eq!(devices(&later, 7).await, []);
    assert_eq!(who(&later, &browser).await, "7");
    assert_eq!(devices(&later, 7).await.len(), 1);
    later.reset_calls();
    assert_eq!(who(&later, &browser).await, "7");
    assert_eq!(later.durable.take_calls(), [], "once is enough");
    // The earlier program keeps the mark that it does not know.
    site.post(&mut browser, "/note/y").await;
    assert_eq!(devices(&later, 7).await.len(), 1);
    owner(&later, 7).end_all().await.unwrap();
    assert_eq!(who(&later, &browser).await, "");
}

/// A node with the earlier program, and one with this.
async fn deploy() -> (Site, Site) {
    let site = Site::new().await.serving(before::routes());
    let later = site.node(|builder| builder).await;
    let later = later.serving(routes());
    (site, later)
}

#[tokio::test]
async fn who_signed_in_by_an_earlier_program_is_ended_by_the_next_request_where_all_were() {
    let (site, later) = deploy().await;
    let browser = signed_in(&site, 7).await;
    owner(&later, 7).end_all().await.unwrap();
    let reply = later.get(&mut browser.clone(), "/user").await;
    assert_eq!(reply.status, StatusCode::OK, "that it was not renewed is no error");
    assert_eq!(who(&later, &browser).await, "");
    assert_eq!(later.get(&mut signed_in(&later, 7).await, "/user").await.body, "7");
}

#[tokio::test]
async fn who_was_signed_in_again_by_an_earlier_program_is_listed_again() {
    let (site, later) = deploy().await;
    let mut browser = signed_in(&later, 7).await;
    later.post(&mut browser, "/clear").await;
    later.settle().await;
    site.post(&mut browser, "/in/7").await;
    assert_eq!(who(&later, &browser).await, "7");
    owner(&later, 7).end_all().await.unwrap();
    assert_eq!(who(&later, &browser).await, "");
}

#[tokio::test]
async fn an_owner_that_had_another_name_is_found() {
    #[derive(Session)]
    #[session(name = "account", version = 2)]
    #[cascade(memcache, datastore)]
    struct Renamed {
        #[session(owner, was = "user")]
        login: Option<u64>,
        note: Option<String>,
    }

    let site = accounts().await;
    let browser = signed_in(&site, 7).await;
    let later = site.node(|builder| builder).await;
    let owner = later.store.owner::<Renamed>(&7);
    assert_eq!(owner.sessions().await.unwrap().len(), 1);
    later.settle().await;
    assert_eq!(owner.end_all().await.unwrap().count, 1);
    assert_eq!(who(&site, &browser).await, "");
}

/// Where the cache is the only tier, the owner's record is in it.
#[derive(Session)]
#[session(name = "fleeting", version = 1)]
#[cascade(memcache)]
struct Fleeting {
    #[session(owner)]
    user: String,
}

#[tokio::test]
async fn sessions_of_the_cache_alone_are_listed_and_ended_too() {
    let routes = Router::new()
        .route(
            "/in/{user}",
            post(
                |mut fleeting: TypedSession<Fleeting>, Path(user): Path<String>| async move {
                    fleeting.set_user(user);
                },
            ),
        )
        .route(
            "/user",
            get(|fleeting: TypedSession<Fleeting>| async move { fleeting.user().clone() }),
        )
        .route(
            "/out",
            post(|mut fleeting: TypedSession<Fleeting>| async move { fleeting.destroy() }),
        );
    let site = Site::new().await.serving(routes);
    let (mut one, mut two) = (Browser::default(), Browser::default());
    site.post(&mut one, "/in/ada").await;
    site.post(&mut two, "/in/ada").await;
    site.post(&mut Browser::default(), "/in/grace").await;
    assert_eq!(site.records.keys(), Vec::<String>::new());
    let ada = site.store.owner::<Fleeting>("ada");
    assert_eq!(ada.sessions().await.unwrap().len(), 2);
    site.post(&mut one, "/out").await;
    site.settle().await;
    assert_eq!(ada.sessions().await.unwrap().len(), 1);
    // The list is no copy of anything, and so is not forgotten after `max_staleness`.
    site.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(ada.end_all().await.unwrap().count, 1);
    assert_eq!(site.get(&mut two.clone(), "/user").await.body, "");
    assert_eq!(site.store.owner::<Fleeting>("grace").sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn keys_are_rolled_under_an_owners_record() {
    let old = accounts().await;
    let browser = signed_in(&old, 7).await;
    let (cache, durable) = old.tiers.clone();
    let node = |ring: &'static [u8]| {
        let (cache, durable, clock) = (cache.clone(), durable.clone(), old.clock.clone());
        async move {
            let builder = CascadeStore::builder(keys(ring)).memcache(cache).datastore(durable);
            builder.clock(clock).build().await.unwrap()
        }
    };
    let both = node(&[2, 1]).await;
    assert_eq!(both.owner::<super::Account>(&7).sessions().await.unwrap().len(), 1);
    let site = Site {
        app: routes().sessions(both.clone()),
        store: both,
        ..old.clone()
    };
    let second = signed_in(&site, 7).await;
    assert_eq!(devices(&site, 7).await.len(), 2);
    // An older node that does not have the new key changes nothing.
    let error = owner(&old, 7).end_all().await.unwrap_err();
    assert!(matches!(error, OwnerError::NotAuthentic { .. }), "{error:?}");
    owner(&site, 7).end_all().await.unwrap();
    assert_eq!(who(&site, &browser).await, "");
    assert_eq!(who(&site, &second).await, "");
}

#[tokio::test]
async fn a_record_of_a_dropped_key_keeps_nobody_out_once_its_sessions_have_ended() {
    let old = accounts().await;
    signed_in(&old, 7).await;
    let (cache, durable) = old.tiers.clone();
    let builder = CascadeStore::builder(keys(&[2])).memcache(cache).datastore(durable);
    let store = builder.clock(old.clock.clone()).build().await.unwrap();
    let site = Site {
        app: routes().sessions(store.clone()),
        store,
        ..old.clone()
    };
    let mut browser = Browser::default();
    let refused = site.post(&mut browser, "/in/7").await;
    assert_eq!(
        refused.status,
        StatusCode::INTERNAL_SERVER_ERROR,
        "a session that it lists may yet live"
    );
    let (cache, durable) = old.tiers.clone();
    let builder = CascadeStore::builder(keys(&[2])).memcache(cache).datastore(durable);
    let builder = builder.clock(old.clock.clone()).forget_owners_of_unknown_keys();
    let forgetting = builder.build().await.unwrap();
    assert_eq!(forgetting.owner::<super::Account>(&7).sessions().await.unwrap(), []);
    site.clock.advance(Duration::from_secs(30 * 24 * 3600));
    assert_eq!(site.post(&mut browser, "/in/7").await.status, StatusCode::OK);
    assert_eq!(who(&site, &browser).await, "7");
    assert_eq!(devices(&site, 7).await.len(), 1);
}
