//! Servers that are down, do not answer, or restart.

use std::time::{Duration, Instant};

use session_runtime::tier::datastore::{Datastore, SetupError};
use session_runtime::tier::{DurableTier, TierErrorKind, Write};
use session_tests::proxy::Proxy;
use session_tests::services::emulator::{self, Emulator, Flavour, PROJECT};

use super::{builder, bytes, done, soon, stored};

const ATTEMPT: Duration = Duration::from_secs(1);
const CALL: Duration = Duration::from_millis(1_500);
/// How late a deadline may be noticed on a busy machine.
const SLACK: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_dead_server_is_unavailable_until_it_restarts() {
    let Some(emulator) = Emulator::start(Flavour::Datastore) else {
        return;
    };
    let tier = builder(&emulator).index_expires_at(true).connect().await.unwrap();
    let version = done(tier.insert("k", bytes("one"), soon()).await);

    emulator.kill();
    let kinds = [
        tier.read("k").await.unwrap_err().kind(),
        tier.insert("other", bytes("one"), soon()).await.unwrap_err().kind(),
        tier.update("k", version, bytes("two"), soon())
            .await
            .unwrap_err()
            .kind(),
        tier.delete("k", version).await.unwrap_err().kind(),
        tier.purge_expired(soon(), 10).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [TierErrorKind::Unavailable; 5]);

    emulator.restart();
    assert_eq!(tier.read("k").await.unwrap(), None);
    done(tier.insert("k", bytes("one"), soon()).await);
}

#[tokio::test]
async fn a_frozen_server_leaves_writes_unknown_and_reads_unavailable() {
    let Some(emulator) = Emulator::start(Flavour::Datastore) else {
        return;
    };
    // The first calls of a new emulator are slow, so they are made without the short timeouts.
    builder(&emulator).connect().await.unwrap();
    let tier = builder(&emulator)
        .attempt_timeout(ATTEMPT)
        .call_timeout(CALL)
        .connect()
        .await
        .unwrap();
    let version = done(tier.insert("k", bytes("one"), soon()).await);

    emulator.freeze();
    let started = Instant::now();
    assert_eq!(tier.read("k").await.unwrap_err().kind(), TierErrorKind::Unavailable);
    assert!(started.elapsed() < CALL + SLACK);
    let started = Instant::now();
    let errors = [
        tier.insert("other", bytes("one"), soon()).await.unwrap_err(),
        tier.update("k", version, bytes("two"), soon()).await.unwrap_err(),
        tier.delete("k", version).await.unwrap_err(),
    ];
    assert!(started.elapsed() < (ATTEMPT + SLACK) * 3);
    for error in errors {
        assert_eq!(error.kind(), TierErrorKind::Unknown, "{error}");
    }

    emulator.thaw();
    // The tier works again, and at most one of the two writes based on `version` was applied.
    match tier.read("k").await.unwrap() {
        Some(found) if found.version == version => assert_eq!(found, stored("one", version)),
        Some(found) => {
            assert_eq!(&found.value[..], b"two");
            assert_eq!(tier.delete("k", version).await.unwrap(), Write::Conflict);
        }
        None => assert_eq!(
            tier.update("k", version, bytes("two"), soon()).await.unwrap(),
            Write::Missing
        ),
    }
}

/// The connection is lost, and no new one is made by the end of the call's time.
#[tokio::test]
async fn a_write_that_times_out_before_it_was_sent_is_unavailable() {
    let Some(emulator) = emulator::datastore() else { return };
    let mut proxy = Proxy::start(emulator.address().parse().unwrap()).await;
    let tier = builder(emulator)
        .emulator(proxy.address().to_string())
        .attempt_timeout(ATTEMPT)
        .call_timeout(CALL)
        .connect()
        .await
        .unwrap();
    let version = done(tier.insert("k", bytes("one"), soon()).await);
    let hanging = proxy.hang().await;
    proxy.cut().await;
    let errors = [
        tier.insert("other", bytes("one"), soon()).await.unwrap_err(),
        tier.update("k", version, bytes("two"), soon()).await.unwrap_err(),
        tier.delete("k", version).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}");
    }
    drop(hanging);
    proxy.accept().await;
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("one", version)));
    assert_eq!(tier.read("other").await.unwrap(), None);
}

#[tokio::test]
async fn setting_up_without_a_server_says_what_to_do() {
    // Nothing listens on port 1 of this machine.
    let error = Datastore::builder()
        .project(PROJECT)
        .emulator("127.0.0.1:1")
        .connect()
        .await
        .unwrap_err();
    let SetupError::Probe(cause) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(cause.kind(), TierErrorKind::Unavailable);
    assert!(
        error.to_string().contains("check that the service or emulator runs"),
        "{error}"
    );
}

#[tokio::test]
async fn setting_up_without_a_project_says_what_to_do() {
    let error = Datastore::builder()
        .emulator("127.0.0.1:1")
        .connect()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("set DATASTORE_PROJECT_ID"), "{error}");
}

#[tokio::test]
async fn timeouts_that_outlive_a_fence_are_refused() {
    let error = Datastore::builder()
        .project(PROJECT)
        .emulator("127.0.0.1:1")
        .call_timeout(Duration::from_secs(50))
        .connect()
        .await
        .unwrap_err();
    assert!(matches!(error, SetupError::Timeouts { .. }), "{error:?}");
}
