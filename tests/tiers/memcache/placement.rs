//! Which server a key lives on, and what the loss of one costs.

use session_runtime::tier::memcache::Memcache;
use session_runtime::tier::{CacheTier, TierErrorKind};
use session_tests::services::memcached::Memcached;

use super::{TTL, value};

const SERVERS: [&str; 4] = [
    "10.0.0.1:11211",
    "10.0.0.2:11211",
    "cache-3.example:11211",
    "[::1]:11211",
];

/// Computed apart from this code (Python's hashlib) from the formula in the crate's placement module. If this fails,
/// processes of this version and of earlier ones have different caches: that is a break, not a test to mend.
const PLACES: [(&str, &str); 8] = [
    ("a", "10.0.0.2:11211"),
    ("session.1", "cache-3.example:11211"),
    ("session.2", "cache-3.example:11211"),
    ("session.3", "10.0.0.2:11211"),
    ("session.4", "10.0.0.2:11211"),
    ("session.5", "10.0.0.2:11211"),
    ("session.6", "10.0.0.1:11211"),
    ("session.7", "cache-3.example:11211"),
];

#[test]
fn a_key_lives_where_it_always_did() {
    let tier = Memcache::connect(SERVERS).unwrap();
    for (key, server) in PLACES {
        assert_eq!(tier.server_of(key), Some(server), "{key}");
    }
}

#[test]
fn the_order_and_the_spelling_of_servers_do_not_matter() {
    let spelled = [
        "::1",
        "CACHE-3.example",
        " 10.0.0.2:11211",
        "10.0.0.1",
        "10.0.0.1:011211",
        "[::1]",
    ];
    let (tier, other) = (Memcache::connect(SERVERS).unwrap(), Memcache::connect(spelled).unwrap());
    for key in (0..1000).map(|n| format!("session.{n}")) {
        assert_eq!(tier.server_of(&key), other.server_of(&key));
    }
}

#[test]
fn a_server_less_moves_only_its_own_keys_and_shares_are_even() {
    let tier = Memcache::connect(SERVERS).unwrap();
    let (gone, rest) = SERVERS.split_first().unwrap();
    let smaller = Memcache::connect(rest).unwrap();
    let mut on_gone = 0;
    for key in (0..4000).map(|n| format!("session.{n}")) {
        if tier.server_of(&key) == Some(gone) {
            on_gone += 1;
        } else {
            assert_eq!(tier.server_of(&key), smaller.server_of(&key));
        }
    }
    assert!(
        (800..1200).contains(&on_gone),
        "{on_gone} of 4000 keys on one of 4 servers"
    );
}

#[test]
fn no_server_and_no_address_are_errors_that_say_so() {
    let error = Memcache::connect([""; 0]).unwrap_err();
    assert_eq!(error.to_string(), "no memcached server is named");
    let error = Memcache::connect(["good:1", "bad:port"]).unwrap_err();
    assert!(error.to_string().contains("bad:port"), "{error}");
}

#[tokio::test]
async fn a_dead_server_costs_its_share_and_no_more() {
    let servers: Option<Vec<_>> = (0..3).map(|_| Memcached::start()).collect();
    let Some(mut servers) = servers else { return };
    let names: Vec<_> = servers.iter().map(|server| server.address().to_string()).collect();
    let tier = Memcache::connect(&names)
        .unwrap()
        .with_timeout(super::PATIENCE)
        .with_connect_timeout(super::PATIENCE);
    let keys: Vec<_> = (0..60).map(|n| format!("session.{n}")).collect();
    for key in &keys {
        tier.set(key, key.clone().into(), TTL).await.unwrap();
    }
    servers[0].kill();
    let mut lost = 0;
    for key in &keys {
        if tier.server_of(key) == Some(&names[0]) {
            lost += 1;
            assert_eq!(tier.get(key).await.unwrap_err().kind(), TierErrorKind::Unavailable);
            let error = tier.set(key, "v".into(), TTL).await.unwrap_err();
            assert_eq!(error.kind(), TierErrorKind::Unavailable);
        } else {
            assert_eq!(value(&tier, key).await.unwrap(), key);
        }
    }
    assert!(lost > 0, "no key lived on the dead server");
    // Nothing took the lost keys in meanwhile.
    for (server, name) in servers.iter().zip(&names).skip(1) {
        let alone = super::tier(server.address());
        for key in &keys {
            assert_eq!(
                alone.get(key).await.unwrap().is_some(),
                tier.server_of(key) == Some(name)
            );
        }
    }
}
