//! Replies that are cut off, fragmented or corrupted.

use session_runtime::tier::{CacheTier, Swap, TierErrorKind};
use session_tests::proxy::{Fault, Proxy};
use session_tests::services::memcached::Memcached;

use super::{TTL, tier, token, value};

/// Stores `hello` under `k`; returns the length of the reply to a `get`, `VALUE k 0 5 <cas>\r\nhello\r\nEND\r\n`.
async fn reply_to_get(proxy: &Proxy, tier: &impl CacheTier) -> u64 {
    tier.set("k", "hello".into(), TTL).await.unwrap();
    // With its first hit, a connection learns which life of the server it leads to.
    tier.get("k").await.unwrap();
    let before = proxy.to_client().counts().bytes;
    tier.get("k").await.unwrap();
    proxy.to_client().counts().bytes - before
}

#[tokio::test]
async fn a_reply_in_single_bytes_is_understood() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    proxy.to_client().always(Fault::Drip);
    proxy.to_server().always(Fault::Drip);
    assert!(tier.add("k", "hello".into(), TTL).await.unwrap());
    assert!(!tier.add("k", "again".into(), TTL).await.unwrap());
    let token = token(&tier, "k").await;
    assert_eq!(
        tier.swap("k", token, "\r\nEND\r\n".into(), TTL).await.unwrap(),
        Swap::Done
    );
    assert_eq!(value(&tier, "k").await.unwrap(), "\r\nEND\r\n");
    tier.set("k", "".into(), TTL).await.unwrap();
    assert_eq!(value(&tier, "k").await.unwrap(), "");
    assert_eq!(tier.remove("k", token).await.unwrap(), Swap::Changed);
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_read_that_is_cut_off_anywhere_is_retried_once() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    for passed in 0..reply_to_get(&proxy, &tier).await {
        proxy.to_client().once(Fault::CutAfter(passed));
        assert_eq!(value(&tier, "k").await.unwrap(), "hello", "cut after {passed} bytes");

        let before = proxy.to_client().counts().reads;
        proxy.to_client().always(Fault::CutAfter(passed));
        let error = tier.get("k").await.unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Unavailable, "cut after {passed} bytes");
        assert_eq!(proxy.to_client().counts().reads - before, 2, "exactly two attempts");
        proxy.to_client().always(Fault::Pass);
    }
}

#[tokio::test]
async fn a_write_whose_reply_is_cut_off_is_unknown_and_not_retried() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    for passed in 0.."STORED\r\n".len() as u64 {
        tier.set("k", "before".into(), TTL).await.unwrap();
        let token = token(&tier, "k").await;
        proxy.to_client().once(Fault::CutAfter(passed));
        let error = tier.swap("k", token, "after".into(), TTL).await.unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Unknown, "cut after {passed} bytes");
        assert_eq!(value(&tier, "k").await.unwrap(), "after", "memcached had applied it");

        proxy.to_client().once(Fault::CutAfter(passed));
        let error = tier.set("k", "after".into(), TTL).await.unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Unknown, "cut after {passed} bytes");
        proxy.to_client().once(Fault::CutAfter(passed));
        let error = tier.add("k", "after".into(), TTL).await.unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Unknown, "cut after {passed} bytes");
    }
}

#[tokio::test]
async fn an_incomplete_command_changes_nothing() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    tier.set("k", "before".into(), TTL).await.unwrap();
    // All of the store but its last byte, and so nothing of the `version` that follows.
    let store = "set k 0 60 5 noreply\r\nafter\r\n".len() as u64;
    for passed in 0..store {
        proxy.to_server().once(Fault::CutAfter(passed));
        let error = tier.set("k", "after".into(), TTL).await.unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Unknown, "cut after {passed} bytes");
        assert_eq!(value(&tier, "k").await.unwrap(), "before", "cut after {passed} bytes");
    }
}

#[tokio::test]
async fn a_corrupt_byte_is_never_taken_for_another_reply() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    let reply = reply_to_get(&proxy, &tier).await;
    let body = "VALUE k 0 5 ".len() as u64..reply - "\r\nEND\r\n".len() as u64;
    for (at, mask) in (0..reply).flat_map(|at| [(at, 0x01), (at, 0x10), (at, 0x80)]) {
        proxy.to_client().always(Fault::Corrupt(at, mask));
        match tier.get("k").await {
            // The cas unique and the body can be other ones of the same shape, and memcached has no checksum: the one
            // fails to swap, the other fails the seal that every record carries.
            Ok(found) => {
                let found = found.expect("a corrupt hit is no miss");
                let is_flag = at == "VALUE k ".len() as u64;
                assert!(
                    is_flag || body.contains(&at),
                    "byte {at} ^ {mask:#x} went unnoticed: {found:?}"
                );
                assert_eq!(found.value.len(), 5);
            }
            Err(error) => assert_eq!(error.kind(), TierErrorKind::Unavailable, "byte {at} ^ {mask:#x}"),
        }
        proxy.to_client().always(Fault::Pass);
        assert_eq!(value(&tier, "k").await.unwrap(), "hello", "after byte {at} ^ {mask:#x}");
    }
    for at in 0.."STORED\r\n".len() as u64 {
        proxy.to_client().once(Fault::Corrupt(at, 0x01));
        let error = tier.add(&format!("new{at}"), "v".into(), TTL).await.unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Unknown, "byte {at}");
    }
}

#[tokio::test]
async fn a_value_over_our_limit_is_not_sent() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address()).with_max_value_len(10);
    assert_eq!(tier.max_value_len(), 10);
    tier.set("k", "0123456789".into(), TTL).await.unwrap();
    let token = token(&tier, "k").await;
    let sent = proxy.to_server().counts();
    let over = || "0123456789a".into();
    for error in [
        tier.set("k", over(), TTL).await.unwrap_err(),
        tier.add("l", over(), TTL).await.unwrap_err(),
        tier.swap("k", token, over(), TTL).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), TierErrorKind::TooLarge { size: 11, limit: 10 });
    }
    assert_eq!(proxy.to_server().counts(), sent);
    assert_eq!(value(&tier, "k").await.unwrap(), "0123456789");
}

/// memcached counts key and header too, so that a value of exactly its limit is over it.
#[tokio::test]
async fn a_value_over_memcacheds_limit_is_too_large_or_forgotten() {
    let Some(server) = Memcached::start() else { return };
    let tier = tier(server.address());
    let size = tier.max_value_len();
    let over = || vec![7; size].into();
    tier.set("k", "before".into(), TTL).await.unwrap();
    let token = token(&tier, "k").await;
    let expected = TierErrorKind::TooLarge { size, limit: size - 1 };
    assert_eq!(tier.add("l", over(), TTL).await.unwrap_err().kind(), expected);
    assert_eq!(tier.swap("k", token, over(), TTL).await.unwrap_err().kind(), expected);
    assert_eq!(value(&tier, "k").await.unwrap(), "before", "nothing was applied");
    // No reply tells of a `set`; its promise is only that what was there is gone.
    tier.set("k", over(), TTL).await.unwrap();
    assert_eq!(tier.get("k").await.unwrap(), None);
}
