//! Unexpected bytes, from a server that is broken, out of sync, or not a memcached.

use session_runtime::tier::memcache::Memcache;
use session_runtime::tier::{CacheTier, TierErrorKind};
use session_tests::proxy::{Fault, Proxy};
use session_tests::services::memcached::Memcached;

use super::{TTL, full_report, tier, value};

/// Waits until the proxy has sent more than `bytes` to clients.
async fn wait_for_bytes(proxy: &Proxy, bytes: u64) {
    while proxy.to_client().counts().bytes <= bytes {
        tokio::task::yield_now().await;
    }
}

/// Replies to `get k` that must be rejected, each with a part of the error's text.
fn hostile_replies() -> Vec<(Vec<u8>, &'static str)> {
    let endless = vec![b'A'; 100_000];
    let endless_value = format!("VALUE k {}", "0".repeat(100_000)).into_bytes();
    let reply = |reply: &str| reply.as_bytes().to_vec();
    vec![
        (
            reply("VALUE k 0 18446744073709551615 1\r\n"),
            "announces 18446744073709551615 bytes",
        ),
        (reply("VALUE k 0 99999999999 1\r\n"), "announces 99999999999 bytes"),
        (reply("VALUE k 0 1048577 1\r\n"), "announces 1048577 bytes"),
        (
            reply("VALUE k 0 99999999999999999999 1\r\n"),
            "does not belong to the command",
        ),
        (reply("VALUE k 0 -1 1\r\n"), "does not belong to the command"),
        (
            reply("VALUE k 0 +1 1\r\nx\r\nEND\r\n"),
            "does not belong to the command",
        ),
        (reply("VALUE k 0 1\r\nx\r\nEND\r\n"), "does not belong to the command"),
        (
            reply("VALUE k 0 1 2 3\r\nx\r\nEND\r\n"),
            "does not belong to the command",
        ),
        (reply("VALUE k 0 1 1\nx\r\nEND\r\n"), "does not belong to the command"),
        (
            reply("VALUE k 0 1 1\r\nxy\r\nEND\r\n"),
            "does not belong to the command",
        ),
        (
            reply("VALUE k 0 1 1\r\nx\r\nVALUE l 0 1 1\r\ny\r\nEND\r\n"),
            "does not belong to the command",
        ),
        (reply("VALUE j 0 1 1\r\nx\r\nEND\r\n"), "names another key"),
        (reply("VALUE kk 0 1 1\r\nx\r\nEND\r\n"), "names another key"),
        (reply("VALUE  k 0 1 1\r\nx\r\nEND\r\n"), "names another key"),
        (
            reply("VALUE k 0 1 1\r\nx\r\nEND\r\nEND\r\n"),
            "bytes after the end of the reply",
        ),
        (
            reply("END\r\nVALUE k 0 1 1\r\nx\r\nEND\r\n"),
            "bytes after the end of the reply",
        ),
        (endless, "a line that is too long"),
        (endless_value, "a line that is too long"),
        (reply("STORED\r\n"), "does not belong to the command"),
        (reply("VERSION 1.6.18\r\n"), "does not belong to the command"),
        (reply("\r\n"), "does not belong to the command"),
        (b"\xff\xfe\r\n".to_vec(), "does not belong to the command"),
        (reply("ERROR\r\n"), "answered ERROR"),
        (
            reply("SERVER_ERROR out of memory\r\n"),
            "answered SERVER_ERROR out of memory",
        ),
    ]
}

#[tokio::test]
async fn a_hostile_reply_is_an_error_and_the_next_connection_works() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    super::tier(server.address()).set("k", "v".into(), TTL).await.unwrap();
    for (reply, expected) in hostile_replies() {
        let case = String::from_utf8_lossy(reply.get(..60).unwrap_or(&reply)).into_owned();
        let tier = tier(proxy.address()).with_pool_size(1);
        // Every new connection gets this reply and no other.
        proxy.to_server().always(Fault::FreezeAfter(0));
        proxy.to_client().always(Fault::Inject(0, reply));
        let error = tier.get("k").await.unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Unavailable, "{case}");
        let text = full_report(&error);
        assert!(text.contains(expected), "{case}: {text}");
        if !case.starts_with("VERSION") {
            let error = tier.set("k", "v".into(), TTL).await.unwrap_err();
            assert_eq!(error.kind(), TierErrorKind::Unknown, "{case}");
        }
        proxy.to_server().always(Fault::Pass);
        proxy.to_client().always(Fault::Pass);
        assert_eq!(value(&tier, "k").await.unwrap(), "v", "{case}");
    }
}

#[tokio::test]
async fn an_error_never_contains_the_bytes_of_an_unexpected_reply() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    for reply in [
        "secret\r\n",
        "VALUE secret 0 6 1\r\nsecret\r\nEND\r\n",
        "ERRORsecret\r\n",
    ] {
        proxy.to_client().always(Fault::Inject(0, reply.into()));
        let error = tier.get("k").await.unwrap_err();
        assert!(!full_report(&error).contains("secret"), "{}", full_report(&error));
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

/// Leaves unsolicited `bytes` on the tier's idle connection.
async fn send_unsolicited(proxy: &Proxy, tier: &Memcache, bytes: &[u8]) {
    tier.set("k", "v".into(), TTL).await.unwrap();
    let before = proxy.to_client().counts().bytes;
    proxy.to_client().once(Fault::Inject(0, bytes.to_vec()));
    wait_for_bytes(proxy, before).await;
}

#[tokio::test]
async fn a_connection_with_unsolicited_bytes_is_not_used_again() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address()).with_pool_size(1);
    let unsolicited = [
        "ERROR\r\n",
        "STORED\r\n",
        "VALUE k 0 3 1\r\nbad\r\nEND\r\n",
        "END\r\n",
        "VERSION 1\r\n",
        "\0",
    ];
    for bytes in unsolicited.map(str::as_bytes) {
        send_unsolicited(&proxy, &tier, bytes).await;
        assert_eq!(value(&tier, "k").await.unwrap(), "v");
        send_unsolicited(&proxy, &tier, bytes).await;
        assert!(!tier.add("k", "w".into(), TTL).await.unwrap());
        send_unsolicited(&proxy, &tier, bytes).await;
        tier.set("k", "w".into(), TTL).await.unwrap();
        assert_eq!(value(&tier, "k").await.unwrap(), "w");
    }
}
