//! The seven sets of tiers, and the conformance of the test tiers.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use session_runtime::conformance::{self, Options};
use session_runtime::tier::embedded::LocalCache;
use session_runtime::{Commit, Session, TypedSession};
use session_tests::instrumented::Instrumented;
use session_tests::memory::MemoryStore;

use crate::site::{Browser, Site, post_concurrently};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_test_tiers_pass_the_conformance_suite() {
    let (durable, _) = Instrumented::new(MemoryStore::default());
    conformance::durable_tier(&Arc::new(durable), &Options::new())
        .await
        .unwrap();
    let (cache, _) = Instrumented::new(LocalCache::new());
    conformance::cache_tier(&Arc::new(cache), &Options::new())
        .await
        .unwrap();
}

macro_rules! set {
    ($name:ident: $($tier:ident),+) => {
        mod $name {
            use super::*;

            #[derive(Session)]
            #[session(name = "set", version = 1)]
            #[cascade($($tier),+)]
            struct Set {
                #[session(merge = add)]
                visits: u64,
                #[session(privileged)]
                user: Option<u64>,
            }

            async fn count(mut set: TypedSession<Set>, request: Request, next: Next) -> Response {
                *set.visits_mut() += 1;
                drop(set);
                next.run(request).await
            }

            #[tokio::test]
            async fn a_session_is_created_changed_and_destroyed() {
                let site = Site::new().await;
                let kept = Set::TIERS.intersects(session_runtime::Tiers::DISTRIBUTED);
                let visit = |mut set: TypedSession<Set>| async move {
                    *set.visits_mut() += 1;
                    set.commit().await.unwrap();
                    *set.visits_mut() += 1;
                    assert_ne!(set.commit().await.unwrap(), Commit::Degraded);
                    set.visits().to_string()
                };
                let routes = Router::new()
                    .route("/visit", post(visit).layer(from_fn_with_state(site.store.clone(), count)))
                    .route("/read", get(|set: TypedSession<Set>| async move {
                        format!("{} {:?}", set.visits(), set.user())
                    }))
                    .route("/login", post(|mut set: TypedSession<Set>| async move { set.set_user(Some(7)) }))
                    .route("/logout", post(|mut set: TypedSession<Set>| async move { set.destroy() }));
                let site = site.serving(routes);
                let mut browser = Browser::default();
                for round in 1..=3 {
                    let reply = site.post(&mut browser, "/visit").await;
                    assert_eq!(reply.status, StatusCode::OK);
                    assert_eq!(reply.body, if kept { (3 * round).to_string() } else { "3".to_owned() });
                }
                let reply = site.post(&mut browser, "/login").await;
                assert_eq!(reply.cookies().len(), usize::from(kept));
                let expected = if kept { "9 Some(7)" } else { "0 None" };
                assert_eq!(site.get(&mut browser, "/read").await.body, expected);
                let old = browser.clone();
                site.post(&mut browser, "/logout").await;
                site.settle().await;
                let cookie = old.cookie.as_deref();
                assert_eq!(site.send(Method::GET, "/read", cookie).await.body, "0 None");
                assert_eq!(site.records.keys(), Vec::<String>::new());
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn every_visit_is_counted() {
                let site = Site::new().await;
                let visit = |mut set: TypedSession<Set>| async move {
                    *set.visits_mut() += 1;
                    set.visits().to_string()
                };
                let site = site.serving(Router::new().route("/", post(visit)));
                let mut browser = Browser::default();
                site.post(&mut browser, "/").await;
                let statuses = post_concurrently(&[&site.app], "/", &browser, 16, 1).await;
                assert_eq!(statuses, [StatusCode::OK; 16]);
                let kept = Set::TIERS.intersects(session_runtime::Tiers::DISTRIBUTED);
                let expected = if kept { "18" } else { "1" };
                assert_eq!(site.post(&mut browser, "/").await.body, expected);
            }
        }
    };
}

set!(request_only: request);
set!(memcache_only: memcache);
set!(datastore_only: datastore);
set!(request_memcache: request, memcache);
set!(request_datastore: request, datastore);
set!(memcache_datastore: memcache, datastore);
set!(all: request, memcache, datastore);
