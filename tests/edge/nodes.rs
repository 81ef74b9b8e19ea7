//! Several nodes on the same tiers.

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::routing::post;
use session_runtime::Clock;
use session_runtime::tier::TierErrorKind;

use crate::site::{ShopSession, Site, acknowledged, post_concurrently, routes};
use session_runtime::RouterExt;

#[tokio::test]
async fn a_write_on_one_node_is_visible_on_the_other_at_once() {
    let one = Site::new().await;
    let two = one.node(|builder| builder).await;
    let mut browser = one.visitor().await;
    for round in 1..10 {
        let (writer, reader) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
        assert_eq!(reader.get(&mut browser, "/read").await.visits(), round);
        assert_eq!(writer.post(&mut browser, "/visit").await.visits(), round + 1);
        assert_eq!(reader.get(&mut browser, "/read").await.visits(), round + 1);
        assert_eq!(
            one.durable.take_calls(),
            [("update", 1)],
            "reads are served by the cache"
        );
    }
    two.post(&mut browser.clone(), "/logout").await;
    assert!(one.get(&mut browser, "/read").await.is_new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_acknowledged_visit_of_many_clients_is_counted() {
    let one = Site::new().await;
    let two = one.node(|builder| builder).await;
    let mut browser = one.visitor().await;
    let statuses = post_concurrently(&[&one.app, &two.app], "/visit", &browser, 64, 5).await;
    let acknowledged = 1 + acknowledged(&statuses);
    assert!(acknowledged > 64, "{acknowledged}");
    for site in [&one, &two] {
        assert_eq!(site.get(&mut browser, "/read").await.visits(), acknowledged);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_one_node_no_concurrent_write_is_rejected() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let statuses = post_concurrently(&[&site.app], "/visit", &browser, 64, 1).await;
    assert_eq!(statuses, [StatusCode::OK; 64]);
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 65);
}

#[tokio::test]
async fn a_cached_record_is_used_until_max_staleness_and_no_longer() {
    let site = Site::with(|builder| builder.max_staleness(Duration::from_secs(60))).await;
    let mut browser = site.visitor().await;
    site.clock.advance(Duration::from_millis(59_999));
    site.get(&mut browser, "/read").await;
    assert_eq!(site.durable.take_calls(), []);
    site.clock.advance(Duration::from_millis(1));
    site.get(&mut browser, "/read").await;
    assert_eq!(site.durable.take_calls(), [("read", 1)]);
    site.settle().await;
    site.get(&mut browser, "/read").await;
    assert_eq!(site.durable.take_calls(), [], "the cache was filled again");
}

#[tokio::test(start_paused = true)]
async fn an_unfenced_write_is_reported_and_invalidated_later() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let app = routes().sessions(site.store.layer().with_server_timing(true));
    site.cache.down();
    let reply = browser.send(&app, Method::POST, "/visit").await;
    assert_eq!((reply.status, reply.visits()), (StatusCode::OK, 2));
    assert!(reply.headers["server-timing"].to_str().unwrap().contains("unfenced"));
    assert_eq!(site.store.pending_invalidations(), 1);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(site.store.pending_invalidations(), 1, "it is retried");
    site.cache.up();
    assert_eq!(
        site.get(&mut browser, "/read").await.visits(),
        1,
        "the stale value, as reported"
    );
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(site.store.pending_invalidations(), 0);
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_outcome_is_unknown_is_invalidated_later() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.durable.fail_once("update", TierErrorKind::Unknown, true);
    site.durable.fail("read", TierErrorKind::Unavailable);
    site.cache.fail("set", TierErrorKind::Unavailable);
    let reply = site.post(&mut browser, "/visit").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    site.durable.up();
    site.cache.up();
    let other = site.node(|builder| builder).await;
    assert_eq!(
        other.get(&mut browser, "/read").await.visits(),
        1,
        "it is not hidden yet"
    );
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(site.store.pending_invalidations(), 0);
    assert_eq!(other.get(&mut browser, "/read").await.visits(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_invalidation_is_given_up_after_max_staleness() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.cache.down();
    site.post(&mut browser, "/visit").await;
    site.clock.advance(Duration::from_secs(301));
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(site.store.pending_invalidations(), 0);
    site.cache.up();
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 2);
}

#[tokio::test]
async fn the_outcome_says_until_when_an_old_value_may_be_seen() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let handler = {
        let cache = site.cache.clone();
        move |mut shop: ShopSession| async move {
            *shop.visits_mut() += 1;
            cache.down();
            let outcome = shop.commit().await.unwrap();
            cache.up();
            format!("{outcome:?}")
        }
    };
    let app = site.serving(Router::new().route("/", post(handler)));
    let until: SystemTime = site.clock.now() + Duration::from_secs(300);
    let body = app.post(&mut browser, "/").await.body;
    assert_eq!(body, format!("Unfenced {{ until: {until:?} }}"));
    site.settle().await;
}

#[tokio::test(start_paused = true)]
async fn draining_retries_once_and_ends_even_if_the_cache_is_down() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    site.cache.down();
    site.post(&mut browser, "/visit").await;
    // Into the pause between two attempts.
    tokio::time::sleep(Duration::from_secs(10)).await;
    site.cache.up();
    site.store.drain().await;
    assert_eq!(site.store.pending_invalidations(), 0);
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 2);
    site.cache.down();
    site.post(&mut browser, "/visit").await;
    let started = tokio::time::Instant::now();
    site.store.drain().await;
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(site.store.pending_invalidations(), 0);
}

#[tokio::test]
async fn draining_waits_for_running_commits() {
    let site = Site::new().await;
    let mut browser = site.visitor().await;
    let gate = site.durable.block("update");
    let commit = site.spawn_post(&browser, "/visit");
    gate.reached().await;
    commit.abort();
    let mut drain = std::pin::pin!(site.store.drain());
    tokio::select! {
        biased;
        () = &mut drain => panic!("draining ended before the commit"),
        () = tokio::task::yield_now() => {}
    }
    gate.release();
    drain.await;
    assert_eq!(site.get(&mut browser, "/read").await.visits(), 2);
}

#[tokio::test]
async fn a_cache_call_without_an_answer_does_not_count_as_settled() {
    for (call, is_applied) in [("set", true), ("set", false), ("swap", true), ("swap", false)] {
        let site = Site::new().await;
        let mut browser = site.visitor().await;
        site.cache.fail_once(call, TierErrorKind::Unknown, is_applied);
        assert_eq!(site.post(&mut browser, "/visit").await.visits(), 2);
        // What is not settled is tried again beside the requests.
        site.settle().await;
        assert_eq!(site.get(&mut browser, "/read").await.visits(), 2, "{call} {is_applied}");
    }
}
