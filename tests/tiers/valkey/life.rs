//! A server that comes back with an older value, or takes over without the latest: what it has from before counts as
//! none.

use session_runtime::tier::valkey::Valkey;
use session_runtime::tier::{CacheTier, Swap, TierErrorKind, Token};
use session_tests::proxy::{Fault, Proxy};
use session_tests::services::valkey::ValkeyServer;
use tokio::task::block_in_place;

use super::{TTL, kind, pass_a_second, tier, token, value};

/// The server has a value under `k`, and it counts as none; a lease can be placed over it.
async fn assert_counts_as_none(tier: &Valkey, server: &ValkeyServer, stale: Token) {
    assert!(server.raw("k").ends_with(b"old"), "the test needs the old value");
    assert_eq!(tier.swap("k", stale, "wrong".into(), TTL).await.unwrap(), Swap::Missing);
    assert_eq!(tier.remove("k", stale).await.unwrap(), Swap::Missing);
    assert!(server.raw("k").ends_with(b"old"), "neither has changed anything");
    assert_eq!(tier.get("k").await.unwrap(), None);
    assert!(server.raw("k").is_empty(), "nobody else can come upon it");
    assert!(tier.add("k", "lease".into(), TTL).await.unwrap());
    assert!(!tier.add("k", "another".into(), TTL).await.unwrap());
    assert_eq!(value(tier, "k").await.unwrap(), "lease");
    let token = token(tier, "k").await;
    assert_eq!(tier.swap("k", token, "new".into(), TTL).await.unwrap(), Swap::Done);
    assert_eq!(value(tier, "k").await.unwrap(), "new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_restarted_from_an_older_snapshot() {
    let Some(mut server) = ValkeyServer::start() else {
        return;
    };
    let tier = tier(server.address());
    for _ in 0..2 {
        tier.set("k", "old".into(), TTL).await.unwrap();
        let stale = token(&tier, "k").await;
        server.save();
        tier.set("k", "acknowledged".into(), TTL).await.unwrap();
        block_in_place(|| server.restart());
        assert_counts_as_none(&tier, &server, stale).await;
    }
}

/// The first call over the new connection is an `add`: a reader's lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_value_is_in_no_ones_way() {
    let Some(mut server) = ValkeyServer::start() else {
        return;
    };
    let tier = tier(server.address());
    tier.set("k", "old".into(), TTL).await.unwrap();
    server.save();
    block_in_place(|| server.restart());
    assert!(server.raw("k").ends_with(b"old"));
    assert!(tier.add("k", "lease".into(), TTL).await.unwrap());
    assert_eq!(value(&tier, "k").await.unwrap(), "lease");
}

/// A primary, and a replica that is told of its writes through a proxy.
struct Pair {
    primary: ValkeyServer,
    replica: ValkeyServer,
    replication: Proxy,
    /// Where the tier finds the primary, as by an address that moves.
    name: Proxy,
}

impl Pair {
    async fn start() -> Option<Self> {
        let (primary, replica) = (ValkeyServer::start()?, ValkeyServer::start()?);
        let replication = Proxy::start(primary.address()).await;
        let port = replication.address().port().to_string();
        assert_eq!(replica.send(&["REPLICAOF", "127.0.0.1", &port]), "OK");
        block_in_place(|| replica.wait_for_primary(&primary));
        let name = Proxy::start(primary.address()).await;
        Some(Self {
            primary,
            replica,
            replication,
            name,
        })
    }

    /// Both have `old`, and then the primary alone has what is acknowledged.
    async fn lag(&self, tier: &Valkey) -> Token {
        tier.set("k", "old".into(), TTL).await.unwrap();
        let stale = token(tier, "k").await;
        block_in_place(|| self.replica.wait_for_primary(&self.primary));
        self.replication.to_client().always(Fault::FreezeAfter(0));
        tier.set("k", "acknowledged".into(), TTL).await.unwrap();
        assert_eq!(value(tier, "k").await.unwrap(), "acknowledged");
        stale
    }

    fn move_the_name(&mut self) {
        self.replication.to_client().always(Fault::Pass);
        self.name.retarget(self.replica.address());
        std::mem::swap(&mut self.primary, &mut self.replica);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lags_takes_over_and_the_first_one_takes_over_again() {
    let Some(mut pair) = Pair::start().await else { return };
    let tier = tier(pair.name.address());
    let stale = pair.lag(&tier).await;
    block_in_place(|| {
        pair.primary.kill();
        pair.replica.promote();
    });
    pair.move_the_name();
    assert_counts_as_none(&tier, &pair.primary, stale).await;

    // Back: the first one follows, and lags when it takes over.
    block_in_place(|| pair.replica.restart());
    pair.replication = Proxy::start(pair.primary.address()).await;
    let port = pair.replication.address().port().to_string();
    assert_eq!(pair.replica.send(&["REPLICAOF", "127.0.0.1", &port]), "OK");
    block_in_place(|| pair.replica.wait_for_primary(&pair.primary));
    let stale = pair.lag(&tier).await;
    block_in_place(|| {
        pair.primary.kill();
        pair.replica.promote();
    });
    pair.move_the_name();
    assert_counts_as_none(&tier, &pair.primary, stale).await;
}

/// As in a planned switch: no server ends, and no connection breaks. On one thread, whose clock can be moved.
#[tokio::test]
async fn a_primary_that_is_demoted_is_left_within_a_second() {
    let (Some(old_primary), Some(primary)) = (ValkeyServer::start(), ValkeyServer::start()) else {
        return;
    };
    let name = Proxy::start(old_primary.address()).await;
    let (reader, writer) = (tier(name.address()), tier(name.address()));
    reader.set("k", "old".into(), TTL).await.unwrap();
    assert_eq!(value(&writer, "k").await.unwrap(), "old");
    primary.replicate(&old_primary);
    primary.promote();
    tier(primary.address())
        .set("k", "acknowledged".into(), TTL)
        .await
        .unwrap();
    assert_eq!(old_primary.send(&["REPLICAOF", "127.0.0.1", "1"]), "OK");
    assert!(old_primary.raw("k").ends_with(b"old"));
    pass_a_second().await;
    // The connections still lead to it, and so does the name. A write finds it out at once.
    assert_eq!(kind(reader.get("k").await), TierErrorKind::Unavailable);
    assert_eq!(kind(writer.set("k", "w".into(), TTL).await), TierErrorKind::Unavailable);
    assert_eq!(kind(reader.add("k", "w".into(), TTL).await), TierErrorKind::Unavailable);
    name.retarget(primary.address());
    pass_a_second().await;
    assert_eq!(value(&reader, "k").await.unwrap(), "acknowledged");
    assert_eq!(value(&writer, "k").await.unwrap(), "acknowledged");
}

/// The connection leads to the old one, which refuses; nothing was applied, so that the write is tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_to_a_demoted_primary_goes_to_the_new_one() {
    let Some(mut pair) = Pair::start().await else { return };
    for call in ["set", "swap", "remove"] {
        let tier = tier(pair.name.address());
        tier.set("k", "old".into(), TTL).await.unwrap();
        block_in_place(|| pair.replica.wait_for_primary(&pair.primary));
        let stale = token(&tier, "k").await;
        pair.replica.promote();
        block_in_place(|| pair.primary.replicate(&pair.replica));
        pair.move_the_name();
        match call {
            "set" => tier.set("k", "new".into(), TTL).await.unwrap(),
            "swap" => assert_eq!(tier.swap("k", stale, "no".into(), TTL).await.unwrap(), Swap::Missing),
            _ => assert_eq!(tier.remove("k", stale).await.unwrap(), Swap::Missing),
        }
        let expected = (call == "set").then_some("new".into());
        assert_eq!(value(&tier, "k").await, expected, "{call}");
    }
}

/// Demoted and promoted again while a connection lives: those who have come since write in another life.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_who_has_stayed_sees_what_those_have_written_who_came_since() {
    let Some(server) = ValkeyServer::start() else { return };
    let (stayed, came) = (tier(server.address()), tier(server.address()));
    for call in ["get", "add", "swap", "remove", "set"] {
        stayed.set("k", "old".into(), TTL).await.unwrap();
        let stale = token(&stayed, "k").await;
        assert_eq!(server.send(&["REPLICAOF", "127.0.0.1", "1"]), "OK");
        server.promote();
        let came_since = tier(server.address());
        assert_eq!(value(&came_since, "k").await, None, "{call}");
        came_since.set("k", "fence".into(), TTL).await.unwrap();
        match call {
            "get" => assert_eq!(value(&stayed, "k").await.unwrap(), "fence"),
            "add" => assert!(!stayed.add("k", "lease".into(), TTL).await.unwrap()),
            "swap" => assert_eq!(
                stayed.swap("k", stale, "wrong".into(), TTL).await.unwrap(),
                Swap::Changed
            ),
            "remove" => assert_eq!(stayed.remove("k", stale).await.unwrap(), Swap::Changed),
            _ => stayed.set("k", "fence".into(), TTL).await.unwrap(),
        }
        // One who came before the reign sees it too.
        assert_eq!(value(&came, "k").await.unwrap(), "fence", "{call}");
        assert_eq!(value(&stayed, "k").await.unwrap(), "fence", "{call}");
    }
}
