//! Servers that take no writes, and one that takes over from another.

use session_runtime::tier::postgres::{Postgres, SetupError};
use session_runtime::tier::{DurableTier, TierErrorKind};
use session_tests::services::postgres::{self, PostgresServer};
use tokio::task::block_in_place;

use super::{builder, bytes, done, soon, stored};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_replica_is_refused_and_the_primary_found() {
    let Some(primary) = PostgresServer::start() else { return };
    let tier = builder(&primary).table("session_records").connect().await.unwrap();
    let version = done(tier.insert("k", bytes("one"), soon()).await);
    let standby = block_in_place(|| primary.start_standby());
    let error = Postgres::builder(standby.url()).connect().await.unwrap_err();
    assert!(matches!(error, SetupError::ReadOnly), "{error:?}");
    assert!(error.to_string().contains("replica"), "{error}");
    // Of several the one that takes writes is taken.
    let both = format!(
        "postgres://postgres@{},{}/postgres?sslmode=disable",
        standby.address(),
        primary.address()
    );
    let tier = Postgres::builder(both).connect().await.unwrap();
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("one", version)));
    done(tier.update("k", version, bytes("two"), soon()).await);

    // The standby takes over, with all that was acknowledged once it follows at every commit.
    block_in_place(|| primary.wait_for_standby());
    let found = tier.read("k").await.unwrap().unwrap();
    let version = done(tier.update("k", found.version, bytes("three"), soon()).await);
    block_in_place(|| {
        primary.kill();
        standby.promote();
    });
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("three", version)));
    assert!(done(tier.update("k", version, bytes("four"), soon()).await) > version);
}

/// As an operator sets it before a switch, or a cloud when the disk is full.
#[tokio::test]
async fn a_server_that_becomes_read_only_is_unavailable_until_it_is_not() {
    let Some(server) = PostgresServer::start() else { return };
    let tier = builder(&server).connections(3).connect().await.unwrap();
    let version = done(tier.insert("k", bytes("one"), soon()).await);
    server.sql("ALTER SYSTEM SET default_transaction_read_only = on");
    server.sql("SELECT pg_reload_conf()");
    let refused = loop {
        // Until the server's processes have the setting.
        match tier.update("k", version, bytes("one"), soon()).await {
            Ok(session_runtime::tier::Write::Done(_) | session_runtime::tier::Write::Conflict) => {}
            outcome => break outcome,
        }
    };
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}");
    let error = builder(&server).connect().await.unwrap_err();
    assert!(matches!(error, SetupError::ReadOnly), "{error:?}");

    server.sql("ALTER SYSTEM RESET default_transaction_read_only");
    server.sql("SELECT pg_reload_conf()");
    let found = tier.read("k").await;
    let found = match found {
        Ok(found) => found.unwrap(),
        // A new process may still have the setting of before.
        Err(_) => tier.read("k").await.unwrap().unwrap(),
    };
    done(tier.update("k", found.version, bytes("two"), soon()).await);
    let _ = postgres::shared();
}
