//! Many operations at once share a connection, and none sees another's reply or suffers from its end.

use std::pin::pin;

use session_runtime::tier::{CacheTier, Swap, TierErrorKind};
use session_tests::proxy::{Fault, Proxy};
use session_tests::services::memcached::Memcached;

use super::{BUSY, TTL, join_all, tier, token, value};

#[tokio::test]
async fn operations_at_the_same_time_share_a_connection_a_write_and_a_read() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    value(&tier, "k").await.unwrap();
    let before = proxy.to_server().counts().reads;
    for found in join_all((0..BUSY).map(|_| tier.get("k"))).await {
        assert_eq!(found.unwrap().unwrap().value, "v");
    }
    assert_eq!(proxy.to_server().counts().reads - before, 1);
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_busy_connection_takes_more_where_no_other_can_be_had() {
    let Some(server) = Memcached::start() else { return };
    let mut proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    value(&tier, "k").await.unwrap();
    proxy.refuse().await;
    for found in join_all((0..BUSY * 2).map(|_| tier.get("k"))).await {
        assert_eq!(found.unwrap().unwrap().value, "v");
    }
}

#[tokio::test]
async fn each_operation_gets_its_own_reply() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    for (fault, keys) in [(Fault::Pass, 200), (Fault::Drip, 40)] {
        let keys: Vec<_> = (0..keys).map(|n| format!("key{n}")).collect();
        proxy.to_client().always(fault.clone());
        // Values of every length about the sizes of buffers, with bytes that look like replies.
        let text = |n: usize| "\r\nEND\r\nVALUE ".repeat(n).into();
        for outcome in join_all(keys.iter().enumerate().map(|(n, key)| tier.set(key, text(n), TTL))).await {
            outcome.unwrap();
        }
        let found = join_all(keys.iter().map(|key| tier.get(key))).await;
        for (n, found) in found.into_iter().enumerate() {
            let expected: bytes::Bytes = text(n);
            assert_eq!(found.unwrap().unwrap().value, expected, "{fault:?} {n}");
        }
        let (miss, add, found) = tokio::join!(
            tier.get("absent"),
            tier.add("key1", "again".into(), TTL),
            tier.get("key2")
        );
        assert_eq!(miss.unwrap(), None);
        assert!(!add.unwrap());
        assert_eq!(found.unwrap().unwrap().value, text(2));
    }
    assert!(proxy.connections() <= 2);
}

/// memcached refuses it, skips its bytes and goes on with the next command.
#[tokio::test]
async fn a_value_that_is_refused_harms_no_other_operation() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address()).with_pool_size(1);
    let size = tier.max_value_len();
    let too_large = || vec![7; size].into();
    tier.set("k", "v".into(), TTL).await.unwrap();
    let token = token(&tier, "k").await;
    let (refused, found, swapped, not_swapped, added) = tokio::join!(
        tier.add("large", too_large(), TTL),
        tier.get("k"),
        tier.swap("k", token, "w".into(), TTL),
        tier.swap("k", token, too_large(), TTL),
        tier.add("new", "n".into(), TTL),
    );
    let refusal = TierErrorKind::TooLarge { size, limit: size - 1 };
    assert_eq!(refused.unwrap_err().kind(), refusal);
    assert_eq!(found.unwrap().unwrap().value, "v");
    assert_eq!(swapped.unwrap(), Swap::Done);
    assert_eq!(not_swapped.unwrap_err().kind(), refusal);
    assert!(added.unwrap());
    assert_eq!(value(&tier, "k").await.unwrap(), "w");
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn after_a_reply_that_was_not_allowed_reads_are_answered_and_writes_are_unknown() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    for key in ["a", "b", "c"] {
        tier.set(key, key.into(), TTL).await.unwrap();
    }
    let token = token(&tier, "c").await;
    for unasked in ["STORED\r\n", "END\r\nEND\r\n", "VALUE b 0 1 1\r\nx\r\nEND\r\n"] {
        proxy.to_client().once(Fault::Inject(0, unasked.into()));
        let (a, b, c) = tokio::join!(tier.get("a"), tier.get("b"), tier.swap("c", token, "d".into(), TTL));
        assert_eq!(a.unwrap().unwrap().value, "a", "{unasked:?}");
        assert_eq!(b.unwrap().unwrap().value, "b", "{unasked:?}");
        // Where the bytes came before the command was sent, it went over another connection.
        assert!(
            c.is_ok() || c.unwrap_err().kind() == TierErrorKind::Unknown,
            "{unasked:?}"
        );
    }
}

#[tokio::test]
async fn a_cancelled_operation_harms_none_before_or_behind_it() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address()).with_pool_size(1);
    tier.set("before", "1".into(), TTL).await.unwrap();
    tier.set("behind", "2".into(), TTL).await.unwrap();
    value(&tier, "before").await.unwrap();
    let frozen = proxy.to_client().frozen();
    proxy.to_client().once(Fault::FreezeAfter(0));
    let before = tier.get("before");
    let behind = tier.get("behind");
    let both = async { tokio::join!(before, behind) };
    let cancelled = async {
        let mut cancelled = pin!(tier.add("new", "n".into(), TTL));
        tokio::select! {
            added = &mut cancelled => panic!("it ended: {added:?}"),
            () = proxy.to_client().wait_frozen(frozen + 1) => {}
        }
    };
    let release = async {
        cancelled.await;
        proxy.to_client().always(Fault::Pass);
    };
    let ((before, behind), ()) = tokio::join!(both, release);
    assert_eq!(before.unwrap().unwrap().value, "1");
    assert_eq!(behind.unwrap().unwrap().value, "2");
    assert_eq!(value(&tier, "new").await.unwrap(), "n", "it was sent all the same");
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn what_waits_and_is_cancelled_is_not_sent() {
    let Some(server) = Memcached::start() else { return };
    let tier = tier(server.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    {
        // It is handed to the connection's task, which does not run before the next await.
        let mut cancelled = pin!(tier.set("k", "w".into(), TTL));
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(cancelled.as_mut().poll(cx).is_pending())).await);
    }
    assert_eq!(value(&tier, "k").await.unwrap(), "v");
}

#[test]
fn a_tier_outlives_the_runtime_that_it_was_used_in() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let Some(server) = Memcached::start() else { return };
    let tier = tier(server.address());
    for n in 0..3 {
        runtime().block_on(async {
            let before = if n == 0 { None } else { Some("v".into()) };
            assert_eq!(value(&tier, "k").await, before);
            tier.set("k", "v".into(), TTL).await.unwrap();
        });
    }
}
