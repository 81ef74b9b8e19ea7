//! Nodes whose clocks differ by hours. How long a value stays in the cache is then up to the cache's own clock.

use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use session_runtime::{Clock, LocalCache, ManualClock, Session, TypedSession};
use session_tests::instrumented::Instrumented;

use crate::site::{Browser, Site};

const HOUR: Duration = Duration::from_secs(3600);
/// So long that no clock here is due for a renewal.
const IDLE: Duration = Duration::from_secs(100 * 3600);
const MAX_STALENESS: Duration = Duration::from_secs(60);

/// Two nodes on the same tiers, and one that does not reach the cache. The cache goes by the first one's clock.
struct Nodes {
    right: Site,
    wrong: Site,
    partitioned: Site,
    clocks: [ManualClock; 2],
}

impl Nodes {
    /// The second node's clock is three hours later than the first one's, or earlier.
    async fn new(is_later: bool) -> Self {
        let right = Site::with(|builder| builder.idle(IDLE).max_staleness(MAX_STALENESS)).await;
        let now = right.clock.now();
        let clock = ManualClock::new(if is_later { now + 3 * HOUR } else { now - 3 * HOUR });
        let options = |builder: crate::site::FullBuilder| builder.idle(IDLE).max_staleness(MAX_STALENESS);
        let wrong = right.node(|builder| options(builder).clock(clock.clone())).await;
        let (unreachable, control) = Instrumented::new(LocalCache::new());
        control.down();
        let partitioned = right.node(|builder| options(builder).memcache(unreachable)).await;
        let clocks = [right.clock.clone(), clock];
        Self {
            right,
            wrong,
            partitioned,
            clocks,
        }
    }

    fn advance(&self, by: Duration) {
        for clock in &self.clocks {
            clock.advance(by);
        }
    }
}

#[tokio::test]
async fn a_value_from_a_node_whose_clock_is_later_is_served_no_longer_than_max_staleness() {
    let nodes = Nodes::new(true).await;
    let mut browser = nodes.wrong.visitor().await;
    assert_eq!(nodes.right.get(&mut browser, "/read").await.visits(), 1);
    assert_eq!(nodes.right.durable.take_calls(), [], "it is in date");
    nodes.partitioned.post(&mut browser, "/visit").await;
    assert_eq!(nodes.right.get(&mut browser, "/read").await.visits(), 1, "unfenced");
    nodes.advance(MAX_STALENESS);
    assert_eq!(nodes.right.get(&mut browser, "/read").await.visits(), 2);
}

#[tokio::test]
async fn a_reader_whose_clock_is_earlier_is_served_no_longer_than_max_staleness() {
    let nodes = Nodes::new(false).await;
    let mut browser = nodes.right.visitor().await;
    assert_eq!(nodes.wrong.get(&mut browser, "/read").await.visits(), 1);
    assert_eq!(nodes.right.durable.take_calls(), [], "it is in date");
    nodes.partitioned.post(&mut browser, "/visit").await;
    assert_eq!(nodes.wrong.get(&mut browser, "/read").await.visits(), 1, "unfenced");
    nodes.advance(MAX_STALENESS);
    assert_eq!(nodes.wrong.get(&mut browser, "/read").await.visits(), 2);
}

/// Every value of the other looks hours old to it: more reads of the durable tier, and nothing else.
#[tokio::test]
async fn a_reader_whose_clock_is_later_sees_every_write_at_once() {
    let nodes = Nodes::new(true).await;
    let mut browser = nodes.right.visitor().await;
    for visits in [1, 2, 3] {
        assert_eq!(nodes.wrong.get(&mut browser, "/read").await.visits(), visits);
        assert_eq!(nodes.right.durable.take_calls(), [("read", 1)]);
        nodes.wrong.settle().await;
        assert_eq!(nodes.right.get(&mut browser, "/read").await.visits(), visits);
        assert_eq!(nodes.right.durable.take_calls(), [], "filled by the other");
        nodes.right.post(&mut browser, "/visit").await;
        nodes.right.durable.take_calls();
    }
}

#[derive(Session)]
#[session(name = "volatile", idle = "1h")]
#[cascade(cache)]
struct Volatile {
    #[session(merge = add)]
    visits: u64,
}

/// What lives in the cache alone is not copied from anywhere, and has no age.
#[tokio::test]
async fn a_session_of_the_cache_alone_stays_as_long_as_it_lives() {
    let site = Site::with(|builder| builder.max_staleness(MAX_STALENESS)).await;
    let visit = |mut volatile: TypedSession<Volatile>| async move {
        *volatile.visits_mut() += 1;
        volatile.visits().to_string()
    };
    let read = |volatile: TypedSession<Volatile>| async move { volatile.visits().to_string() };
    let app = site.serving(Router::new().route("/visit", post(visit)).route("/read", get(read)));
    let mut browser = Browser::default();
    for visits in ["1", "2"] {
        assert_eq!(app.post(&mut browser, "/visit").await.body, visits);
        site.clock.advance(Duration::from_secs(60 * 60 - 1));
        assert_eq!(app.get(&mut browser, "/read").await.body, visits);
    }
    site.clock.advance(HOUR);
    assert_eq!(app.get(&mut browser, "/read").await.body, "0");
}
