//! A request that is cancelled never lets another one see its reply.
//!
//! memcached's replies carry no request's name. A connection on which a reply is still due would hand one visitor's
//! session, or the outcome of one visitor's write, to the next.

use std::pin::pin;
use std::task::Poll;

use session_runtime::tier::memcache::Memcache;
use session_runtime::tier::{CacheTier, Swap, Token};
use session_tests::proxy::{Fault, Proxy};
use session_tests::services::memcached::Memcached;

use super::{TTL, tier, token, value};

/// The operations that are cancelled, all on a key of another visitor.
const OPERATIONS: [&str; 6] = ["hit", "miss", "add", "set", "swap", "remove"];

async fn operate(tier: &Memcache, operation: &str, theirs: Token) {
    let value = || "their session".into();
    // How it ends is not what these tests are about.
    match operation {
        "hit" => drop(tier.get("theirs").await),
        "miss" => drop(tier.get("absent").await),
        "add" => drop(tier.add("absent", value(), TTL).await),
        "set" => drop(tier.set("theirs", value(), TTL).await),
        "swap" => drop(tier.swap("theirs", theirs, value(), TTL).await),
        _ => drop(tier.remove("theirs", theirs).await),
    }
}

/// What lies in the cache before each cancelled operation: both visitors' sessions, and a token of ours that is stale.
async fn prepare(tier: &Memcache) -> (Token, Token) {
    tier.set("theirs", "their session".into(), TTL).await.unwrap();
    tier.set("mine", "old".into(), TTL).await.unwrap();
    let stale = token(tier, "mine").await;
    tier.set("mine", "my session".into(), TTL).await.unwrap();
    if let Some(found) = tier.get("absent").await.unwrap() {
        tier.remove("absent", found.token).await.unwrap();
    }
    (token(tier, "theirs").await, stale)
}

/// Does one more operation on the same pool of one connection. Each answer differs from the one that a reply to any
/// of the cancelled operations would give.
async fn check_own_answers(tier: &Memcache, next: usize, stale: Token, told: &str) {
    match next % 4 {
        0 => assert!(!tier.add("mine", "x".into(), TTL).await.unwrap(), "{told}"),
        1 => assert_eq!(
            tier.swap("mine", stale, "x".into(), TTL).await.unwrap(),
            Swap::Changed,
            "{told}"
        ),
        2 => tier.set("mine", "my session".into(), TTL).await.unwrap(),
        _ => {}
    }
    assert_eq!(value(tier, "mine").await.unwrap(), "my session", "{told}");
    assert_eq!(tier.get("nobody's").await.unwrap(), None, "{told}");
}

/// Polls `future` until it has been pending so many times, and drops it; whether it ended before.
async fn cancel_after(polls: usize, future: impl Future) -> bool {
    let mut future = pin!(future);
    let mut pending = 0;
    std::future::poll_fn(|cx| {
        if future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        pending += 1;
        if pending == polls {
            Poll::Ready(false)
        } else {
            Poll::Pending
        }
    })
    .await
}

#[tokio::test]
async fn cancelled_at_every_await() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    for operation in OPERATIONS {
        // A connection that exists, and one that has to be made.
        for is_warm in [true, false] {
            let mut polls = 0;
            loop {
                polls += 1;
                let told = format!("{operation} cancelled at await {polls}, warm: {is_warm}");
                let tier = tier(proxy.address()).with_pool_size(1);
                let (theirs, stale) = prepare(&tier).await;
                if !is_warm {
                    proxy.cut().await;
                }
                proxy.to_client().always(Fault::Drip);
                let is_over = cancel_after(polls, operate(&tier, operation, theirs)).await;
                proxy.to_client().always(Fault::Pass);
                check_own_answers(&tier, polls, stale, &told).await;
                if is_over {
                    break;
                }
            }
            assert!(polls > 3, "{operation} never waited, so nothing was cancelled");
        }
    }
}

#[tokio::test]
async fn cancelled_after_every_byte_of_the_reply() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address()).with_pool_size(1);
    for operation in OPERATIONS {
        let (theirs, _) = prepare(&tier).await;
        let before = proxy.to_client().counts().bytes;
        operate(&tier, operation, theirs).await;
        let reply = proxy.to_client().counts().bytes - before;
        assert!(reply >= 5, "{operation} had a reply of {reply} bytes");
        for passed in 0..reply {
            for next in 0..4 {
                let told = format!("{operation} cancelled after {passed} bytes, then {next}");
                let (theirs, stale) = prepare(&tier).await;
                let frozen = proxy.to_client().frozen();
                proxy.to_client().once(Fault::FreezeAfter(passed));
                tokio::select! {
                    () = operate(&tier, operation, theirs) => panic!("{told}: it ended"),
                    () = async {
                        proxy.to_client().wait_frozen(frozen + 1).await;
                        // The client gets to see what was passed.
                        for _ in 0..4 {
                            tokio::task::yield_now().await;
                        }
                    } => {}
                }
                // The rest of the reply goes out, to whoever holds the connection now.
                proxy.to_client().always(Fault::Pass);
                check_own_answers(&tier, next, stale, &told).await;
            }
        }
    }
}

#[tokio::test]
async fn cancelled_while_the_command_is_sent() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address()).with_pool_size(1);
    for operation in OPERATIONS {
        let (theirs, _) = prepare(&tier).await;
        let before = proxy.to_server().counts().bytes;
        operate(&tier, operation, theirs).await;
        let command = proxy.to_server().counts().bytes - before;
        for passed in (0..command).step_by(3) {
            let told = format!("{operation} cancelled with {passed} bytes sent");
            let (theirs, stale) = prepare(&tier).await;
            let frozen = proxy.to_server().frozen();
            proxy.to_server().once(Fault::FreezeAfter(passed));
            tokio::select! {
                () = operate(&tier, operation, theirs) => panic!("{told}: it ended"),
                () = proxy.to_server().wait_frozen(frozen + 1) => {}
            }
            proxy.to_server().always(Fault::Pass);
            check_own_answers(&tier, usize::try_from(passed).unwrap(), stale, &told).await;
        }
    }
}
