//! Which server a key is placed on, and what the loss of a server costs.

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

/// Computed independently (with Python's hashlib) from the formula in the crate's placement module. If this fails,
/// processes of this version and of earlier ones use different servers for a key: mend the code, not the test.
const PYTHON_PLACEMENTS: [(&str, &str); 8] = [
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
fn keys_are_placed_as_computed_in_python() {
    let tier = Memcache::connect(SERVERS).unwrap();
    for (key, server) in PYTHON_PLACEMENTS {
        assert_eq!(tier.server_of(key), Some(server), "{key}");
    }
}

/// For each list of servers, the index of the server that holds `session.0`, `session.1` and so on, one digit a key.
/// Recorded output of the crate `rendezvous_hash` 0.3 with the same weights; the warning on [`PYTHON_PLACEMENTS`] holds here too.
const PLACEMENTS: [(&[&str], &str); 6] = [
    (
        &["127.0.0.1:11211"],
        "0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        &["10.0.0.1:11211", "10.0.0.2:11211"],
        "0101110000101001001001111011101011100010100101011101100110111011001011101101111000101001001100100111",
    ),
    (
        &["10.0.0.1:11211", "10.0.0.2:11211", "10.0.0.3:11211"],
        "0102212000101201202002111211101021100012220221012101100210111021002211102101122220201201201100200111",
    ),
    (
        &SERVERS,
        "0221110200303002223231111312101031133030330221212201220112111221002211102333111020201021221102330213",
    ),
    (
        &[
            "unix:/run/memcached/a.sock",
            "unix:/run/memcached/b.sock",
            "localhost:11211",
            "localhost:11212",
            "memcached:11211",
        ],
        "3020111442341423300142340132040202043021222120113013420010334011011001441242010014040111141044234304",
    ),
    (
        &[
            "cache-0.cache:11211",
            "cache-1.cache:11211",
            "cache-2.cache:11211",
            "cache-3.cache:11211",
            "cache-4.cache:11211",
            "cache-5.cache:11211",
            "cache-6.cache:11211",
            "cache-7.cache:11211",
            "cache-8.cache:11211",
            "cache-9.cache:11211",
        ],
        "1503000599292209628637524172008382464764094576849565988236553376184235547787164140739822980542665905",
    ),
];

#[test]
fn the_placement_of_many_keys_never_changes() {
    for (servers, expected) in PLACEMENTS {
        let tier = Memcache::connect(servers).unwrap();
        let index_of = |key: String| {
            let placed = tier.server_of(&key).unwrap();
            let index = servers.iter().position(|server| *server == placed);
            index.unwrap().to_string()
        };
        let placement: String = (0..expected.len()).map(|n| index_of(format!("session.{n}"))).collect();
        assert_eq!(placement, expected, "{servers:?}");
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
fn removing_a_server_moves_only_its_own_keys_and_shares_are_even() {
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
fn a_missing_server_and_a_malformed_address_are_errors() {
    let error = Memcache::connect([""; 0]).unwrap_err();
    assert!(error.to_string().starts_with("no memcached server"), "{error}");
    let error = Memcache::connect(["good:1", "bad:port"]).unwrap_err();
    assert!(error.to_string().contains("bad:port"), "{error}");
}

#[tokio::test]
async fn a_dead_server_costs_only_its_own_keys() {
    let servers: Option<Vec<_>> = (0..3).map(|_| Memcached::start()).collect();
    let Some(mut servers) = servers else { return };
    let names: Vec<_> = servers.iter().map(|server| server.address().to_string()).collect();
    let tier = Memcache::connect(&names)
        .unwrap()
        .with_timeout(super::TIMEOUT)
        .with_connect_timeout(super::TIMEOUT);
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
    assert!(lost > 0, "no key was placed on the dead server");
    // No other server has stored the lost keys.
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
