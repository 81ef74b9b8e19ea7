//! A server that is killed in mid-commit and started again has all that it acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use session_runtime::tier::{DurableTier, TierErrorKind, Version, Write};
use session_tests::services::postgres::PostgresServer;
use tokio::task::{JoinSet, block_in_place};

use super::{builder, bytes, done, soon};

/// What a writer knows of its record.
#[derive(Default)]
struct Known {
    /// The latest that was acknowledged: number and version.
    acknowledged: Option<(u64, Version)>,
    /// One whose outcome is unknown, and which came after that.
    unknown: Option<u64>,
}

/// Writes one record until the server is gone, each time with the next number.
async fn write_until_killed(tier: impl DurableTier, key: String, count: Arc<AtomicUsize>) -> (String, Known) {
    let mut known = Known::default();
    for number in 0.. {
        let value = bytes(&number.to_string());
        let outcome = match known.acknowledged {
            None => tier.insert(&key, value, soon()).await,
            Some((_, base)) => tier.update(&key, base, value, soon()).await,
        };
        match outcome {
            Ok(Write::Done(version)) => known.acknowledged = Some((number, version)),
            Ok(write) => panic!("{key} has one writer, and was {write:?}"),
            Err(error) => {
                let is_unknown = error.kind() == TierErrorKind::Unknown;
                assert!(is_unknown || error.kind() == TierErrorKind::Unavailable, "{error:?}");
                known.unknown = is_unknown.then_some(number);
                break;
            }
        }
        count.fetch_add(1, Ordering::SeqCst);
    }
    (key, known)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_server_loses_no_acknowledged_write() {
    let Some(server) = PostgresServer::start() else { return };
    let tier = builder(&server).connect().await.unwrap();
    let mut unknown = 0;
    for round in 0..5 {
        let count = Arc::new(AtomicUsize::new(0));
        let mut writers = JoinSet::new();
        for writer in 0..10 {
            let key = format!("{round} {writer}");
            writers.spawn(write_until_killed(tier.clone(), key, Arc::clone(&count)));
        }
        // In the midst of their writes.
        while count.load(Ordering::SeqCst) < 300 {
            tokio::task::yield_now().await;
        }
        block_in_place(|| server.kill());
        let known: BTreeMap<_, _> = writers.join_all().await.into_iter().collect();
        let error = tier.read("k").await.unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}");
        block_in_place(|| server.restart());
        for (key, known) in known {
            let found = tier.read(&key).await.unwrap();
            let number = found
                .as_ref()
                .map(|found| String::from_utf8_lossy(&found.value).parse().unwrap());
            let expected = known.acknowledged.map(|(number, _)| number);
            assert!(
                number == expected || (known.unknown.is_some() && number == known.unknown),
                "{key}: {number:?} is stored, {expected:?} was acknowledged, {:?} may be stored",
                known.unknown
            );
            unknown += usize::from(known.unknown.is_some());
            let Some(found) = found else { continue };
            if let Some((_, version)) = known.acknowledged {
                assert!(found.version >= version, "{key}");
            }
            assert!(done(tier.update(&key, found.version, bytes("after"), soon()).await) > found.version);
        }
    }
    assert!(unknown > 0, "no write was under way when the server was killed");
}

/// A service restarts its database while it runs: what was idle is replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_after_a_restart_succeed() {
    let Some(server) = PostgresServer::start() else { return };
    let tier = builder(&server).connections(1).connect().await.unwrap();
    let mut version = done(tier.insert("k", bytes("one"), soon()).await);
    for _ in 0..3 {
        block_in_place(|| server.restart());
        // It may be the first to see that the connection has ended.
        if let Err(error) = tier.read("k").await {
            assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}");
        }
        version = done(tier.update("k", version, bytes("next"), soon()).await);
    }
}
