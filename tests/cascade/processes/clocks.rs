//! Nodes whose clocks are hours apart, on a memcached that has a clock of its own.

use std::time::{Duration, Instant};

use super::{Browser, Servers, TIMEOUT};

const HOURS: Duration = Duration::from_hours(3);

#[tokio::test]
async fn nodes_whose_clocks_are_hours_apart_see_each_others_writes_at_once() {
    let Some(servers) = Servers::start(1) else { return };
    let (early, late) = (servers.node(&[0], &[]), servers.node(&[0], &[]));
    late.advance(HOURS).await;
    let mut browser = Browser::visitor(&early).await;
    for visits in [2, 4, 6] {
        for (at, (writer, reader)) in [(&early, &late), (&late, &early)].into_iter().enumerate() {
            browser.visit(writer).await;
            assert_eq!(browser.read(reader).await, (visits + at).to_string());
        }
    }
}

/// By the reader's clock the value comes from the future, and by memcached's it is a second old.
#[tokio::test]
async fn memcached_forgets_a_value_by_its_own_clock() {
    let Some(servers) = Servers::start(1) else { return };
    let node = || servers.node(&[0], &[("MAX_STALENESS", "1")]);
    let (early, late) = (node(), node());
    let partitioned = servers.node(&[0], &[("MEMCACHE_SERVERS", "127.0.0.1:1")]);
    late.advance(HOURS).await;
    let mut browser = Browser::visitor(&late).await;
    let answer = browser.send(&partitioned, "POST", "/visit").await;
    assert_eq!((answer.status, answer.commit()), (200, Some("unfenced")));
    let written = Instant::now();
    while browser.read(&early).await != "2" {
        assert!(
            written.elapsed() < TIMEOUT,
            "it is served for longer than `max_staleness`"
        );
    }
}
