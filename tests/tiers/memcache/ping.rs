//! A ping of memcached asks every server, past the breaker, and counts nothing against it.

use session_runtime::tier::memcache::Memcache;
use session_runtime::tier::{CacheTier, TierErrorKind};
use session_tests::proxy::{Fault, Proxy};
use session_tests::services::memcached::Memcached;

use super::{TTL, full_report, tier, value};

#[tokio::test]
async fn servers_that_do_not_answer_are_named_and_all_of_them_are_an_error() {
    let (Some(mut one), Some(mut other)) = (Memcached::start(), Memcached::start()) else {
        return;
    };
    let tier = Memcache::connect([one.address().to_string(), other.address().to_string()]).unwrap();
    assert_eq!(tier.ping().await.unwrap(), Vec::<String>::new());
    other.kill();
    assert_eq!(tier.ping().await.unwrap(), [other.address().to_string()]);
    one.kill();
    let error = tier.ping().await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unavailable);
    assert!(
        full_report(&error).contains("cannot connect"),
        "{}",
        full_report(&error)
    );
    one.restart();
    other.restart();
    assert_eq!(tier.ping().await.unwrap(), Vec::<String>::new());
    assert_eq!(one.send("stats items\r\n").unwrap(), "END", "nothing was stored");
}

#[tokio::test]
async fn unanswered_pings_open_no_breaker_and_an_answered_one_closes_it() {
    let Some(server) = Memcached::start() else { return };
    let proxy = Proxy::start(server.address()).await;
    let tier = tier(proxy.address());
    tier.set("k", "v".into(), TTL).await.unwrap();
    proxy.to_client().always(Fault::CutAfter(0));
    for _ in 0..10 {
        assert!(tier.ping().await.is_err());
    }
    proxy.to_client().always(Fault::Pass);
    assert_eq!(value(&tier, "k").await.unwrap(), "v", "reads are sent");

    proxy.to_client().always(Fault::CutAfter(0));
    for _ in 0..3 {
        assert!(tier.get("k").await.is_err());
    }
    proxy.to_client().always(Fault::Pass);
    let error = tier.get("k").await.unwrap_err();
    assert!(full_report(&error).contains("reads are not sent to it for now"));
    assert_eq!(
        tier.ping().await.unwrap(),
        Vec::<String>::new(),
        "it is sent all the same"
    );
    assert_eq!(value(&tier, "k").await.unwrap(), "v");
}
