//! A Valkey with a replica: it is killed, restarted from what it had before, and taken over from by a replica that lags.

use std::net::SocketAddr;

use fastrand::Rng;
use session_tests::proxy::{Fault as NetworkFault, Proxy};
use session_tests::services::valkey::ValkeyServer;
use tokio::task::block_in_place;

/// So little memory that it evicts when it is filled; a megabyte is its own.
const LITTLE_MEMORY: [&str; 4] = ["--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru"];
/// Enough to fill it, in pieces of a size that sessions have.
const FILLING: &str = "for i = 1, 6000 do redis.call('SET', 'filling-' .. i, string.rep('x', tonumber(ARGV[1])), 'PX', 2000) end \
                       return {ok='OK'}";
const DELETE_HALF: &str = "for i, key in ipairs(redis.call('KEYS', '*')) do \
                           if (i + tonumber(ARGV[1])) % 2 == 0 then redis.call('DEL', key) end end return {ok='OK'}";

/// A primary and its replica, which is told of writes through a proxy.
pub(super) struct Replicated {
    pub(super) primary: ValkeyServer,
    replica: ValkeyServer,
    replication: Proxy,
}

impl Replicated {
    pub(super) async fn start() -> Option<Self> {
        let primary = ValkeyServer::start_with(&LITTLE_MEMORY)?;
        let replica = ValkeyServer::start_with(&LITTLE_MEMORY)?;
        let replication = follow(&replica, &primary).await;
        Some(Self {
            primary,
            replica,
            replication,
        })
    }

    /// Where the primary listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.primary.address()
    }

    /// From now on the replica lags.
    pub(super) fn lag(&self) {
        self.replication.to_client().always(NetworkFault::FreezeAfter(0));
    }

    /// The primary dies, and the replica takes over with what it has.
    pub(super) fn fail_over(&mut self) {
        block_in_place(|| {
            self.primary.kill();
            self.replica.promote();
        });
        std::mem::swap(&mut self.primary, &mut self.replica);
    }

    /// The one before, which was killed, follows the one that has taken over; so the next failover is one back.
    pub(super) async fn rebuild(&mut self) {
        block_in_place(|| self.replica.restart());
        self.replication = follow(&self.replica, &self.primary).await;
    }

    /// The replica takes over, and the primary lives on as its replica: no server ends.
    pub(super) fn demote(&self) {
        self.replica.promote();
        assert_eq!(self.primary.send(&["REPLICAOF", "127.0.0.1", "1"]), "OK");
    }

    /// The demoted one follows.
    pub(super) async fn follow_the_other(&mut self) {
        std::mem::swap(&mut self.primary, &mut self.replica);
        self.replication = follow(&self.replica, &self.primary).await;
    }

    /// Deletes about half the items, of any kind.
    pub(super) fn delete_half(&self, random: &mut Rng) {
        self.run(DELETE_HALF, random.usize(0..2));
    }

    /// Stores items until it has evicted, or, where it does not evict, takes no more.
    pub(super) fn fill(&self, random: &mut Rng) {
        self.run(FILLING, random.usize(500..900));
    }

    pub(super) fn evicts(&self, evicts: bool) {
        let policy = if evicts { "allkeys-lru" } else { "noeviction" };
        self.primary.send(&["CONFIG", "SET", "maxmemory-policy", policy]);
    }

    fn run(&self, script: &str, argument: usize) {
        // It may be full.
        let _whatever_it_says = self.primary.send(&["EVAL", script, "0", &argument.to_string()]);
    }
}

/// Has a server follow another through a proxy, and waits until it has what that has.
async fn follow(replica: &ValkeyServer, primary: &ValkeyServer) -> Proxy {
    let replication = Proxy::start(primary.address()).await;
    let port = replication.address().port().to_string();
    assert_eq!(replica.send(&["REPLICAOF", "127.0.0.1", &port]), "OK");
    block_in_place(|| replica.wait_until_linked());
    replication
}
