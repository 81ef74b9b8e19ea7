//! A Postgres with a standby that every commit waits for: it is killed, frozen, and taken over from, and loses nothing
//! that it has acknowledged.

use std::net::SocketAddr;

use session_tests::services::postgres::PostgresServer;
use tokio::sync::Mutex;
use tokio::task::block_in_place;

use super::cluster::{Cluster, Durable};

/// So that a standby whose primary was away is back soon.
const SETTINGS: [&str; 1] = ["wal_retrieve_retry_interval=50ms"];

/// A primary and its standby.
pub(super) struct Replicated(Mutex<Pair>);

struct Pair {
    primary: PostgresServer,
    standby: PostgresServer,
}

/// A fault of the servers, while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Freeze,
    Kill,
    Failover,
}

impl Replicated {
    fn start() -> Option<Self> {
        let primary = PostgresServer::start_with(&SETTINGS)?;
        let standby = primary.start_standby();
        primary.wait_for_standby();
        Some(Self(Mutex::new(Pair { primary, standby })))
    }

    /// Where the primary listens.
    pub(super) async fn address(&self) -> SocketAddr {
        self.0.lock().await.primary.address()
    }

    pub(super) async fn begin(&self, fault: Fault) {
        let pair = self.0.lock().await;
        block_in_place(|| match fault {
            Fault::Freeze => pair.primary.freeze(),
            Fault::Kill | Fault::Failover => pair.primary.kill(),
        });
    }

    pub(super) async fn end(&self, fault: Fault) {
        let mut pair = self.0.lock().await;
        block_in_place(|| match fault {
            Fault::Freeze => pair.primary.thaw(),
            Fault::Kill => pair.primary.restart(),
            Fault::Failover => pair.standby.promote(),
        });
        if fault == Fault::Failover {
            let Pair { primary, standby } = &mut *pair;
            std::mem::swap(primary, standby);
        }
    }

    /// Has a new standby follow the primary, in place of the one that took over; so the next failover is one back.
    pub(super) async fn rebuild(&self) {
        let mut pair = self.0.lock().await;
        block_in_place(|| {
            pair.standby = pair.primary.start_standby();
            pair.primary.wait_for_standby();
        });
    }
}

impl Cluster {
    /// Three processes that share a Postgres with a standby; `None` without memcached or Postgres.
    pub(super) async fn on_postgres() -> Option<Self> {
        let replicated = block_in_place(Replicated::start)?;
        Self::start(3, Durable::Postgres(Box::new(replicated))).await
    }
}
