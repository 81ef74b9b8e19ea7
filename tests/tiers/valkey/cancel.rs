//! The answer to a cancelled call is never taken for that to another.
//!
//! Answers carry no name of what they answer. One that is handed to another call would give one user's session, or the
//! outcome of one user's write, to the next.

use std::pin::pin;
use std::task::Poll;

use session_runtime::tier::valkey::Valkey;
use session_runtime::tier::{CacheTier, Swap, Token};
use session_tests::proxy::{Fault, Proxy};
use session_tests::services::valkey::ValkeyServer;

use super::{TTL, tier, token, value};

/// The calls that are cancelled, all on a key of another user.
const OPERATIONS: [&str; 6] = ["hit", "miss", "add", "set", "swap", "remove"];

async fn operate(tier: &Valkey, operation: &str, theirs: Token) {
    let value = || "their session".into();
    // The result does not matter here.
    match operation {
        "hit" => drop(tier.get("theirs").await),
        "miss" => drop(tier.get("absent").await),
        "add" => drop(tier.add("absent", value(), TTL).await),
        "set" => drop(tier.set("theirs", value(), TTL).await),
        "swap" => drop(tier.swap("theirs", theirs, value(), TTL).await),
        _ => drop(tier.remove("theirs", theirs).await),
    }
}

/// Stores both users' sessions before each cancelled call; returns their token, and a stale one of ours.
async fn prepare(tier: &Valkey) -> (Token, Token) {
    tier.set("theirs", "their session".into(), TTL).await.unwrap();
    tier.set("mine", "old".into(), TTL).await.unwrap();
    let stale = token(tier, "mine").await;
    tier.set("mine", "my session".into(), TTL).await.unwrap();
    if let Some(found) = tier.get("absent").await.unwrap() {
        tier.remove("absent", found.token).await.unwrap();
    }
    (token(tier, "theirs").await, stale)
}

/// Makes one more call over the same connection. Each answer differs from the one that any of the cancelled calls would
/// get.
async fn check_own_answers(tier: &Valkey, next: usize, stale: Token, case: &str) {
    match next % 4 {
        0 => assert!(!tier.add("mine", "x".into(), TTL).await.unwrap(), "{case}"),
        1 => assert_eq!(
            tier.swap("mine", stale, "x".into(), TTL).await.unwrap(),
            Swap::Changed,
            "{case}"
        ),
        2 => tier.set("mine", "my session".into(), TTL).await.unwrap(),
        _ => {}
    }
    assert_eq!(value(tier, "mine").await.unwrap(), "my session", "{case}");
    assert_eq!(tier.get("nobody's").await.unwrap(), None, "{case}");
}

/// Polls `future` until it was pending `polls` times, and drops it; returns whether it ended before that.
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
    let Some(server) = ValkeyServer::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    for operation in OPERATIONS {
        // With an open connection, and with one that must be opened.
        for is_warm in [true, false] {
            let mut polls = 0;
            loop {
                polls += 1;
                let case = format!("{operation} cancelled at await {polls}, warm: {is_warm}");
                let tier = tier(proxy.address());
                let (theirs, stale) = prepare(&tier).await;
                if !is_warm {
                    proxy.cut().await;
                }
                proxy.to_client().always(Fault::Drip);
                let is_over = cancel_after(polls, operate(&tier, operation, theirs)).await;
                proxy.to_client().always(Fault::Pass);
                if !is_warm {
                    // A read opens a new connection, where the one before is seen to be cut only now.
                    assert_eq!(value(&tier, "mine").await.unwrap(), "my session", "{case}");
                }
                check_own_answers(&tier, polls, stale, &case).await;
                if is_over {
                    break;
                }
            }
            assert!(polls > 1, "{operation} never waited, so nothing was cancelled");
        }
    }
}

#[tokio::test]
async fn cancelled_after_every_byte_of_the_answer() {
    let Some(server) = ValkeyServer::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    for operation in OPERATIONS {
        let (theirs, _) = prepare(&tier).await;
        let before = proxy.to_client().counts().bytes;
        operate(&tier, operation, theirs).await;
        let answer = proxy.to_client().counts().bytes - before;
        assert!(answer >= 5, "{operation} had an answer of {answer} bytes");
        for passed in 0..answer {
            for next in 0..4 {
                let case = format!("{operation} cancelled after {passed} bytes, then {next}");
                let (theirs, stale) = prepare(&tier).await;
                let frozen = proxy.to_client().frozen();
                proxy.to_client().once(Fault::FreezeAfter(passed));
                tokio::select! {
                    () = operate(&tier, operation, theirs) => panic!("{case}: it ended"),
                    () = async {
                        proxy.to_client().wait_frozen(frozen + 1).await;
                        // The client reads the bytes that were passed.
                        for _ in 0..4 {
                            tokio::task::yield_now().await;
                        }
                    } => {}
                }
                // The rest of the answer is sent, to whichever call uses the connection now.
                proxy.to_client().always(Fault::Pass);
                check_own_answers(&tier, next, stale, &case).await;
            }
        }
    }
    assert_eq!(proxy.connections(), 1, "a cancelled call costs no connection");
}
