//! Expired records are deleted, and no other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use session_runtime::tier::{DurableTier, Version, Write};
use session_tests::services::postgres;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{HOUR, builder, bytes, done, soon, stored, tier};

#[tokio::test]
async fn a_purge_deletes_only_what_has_expired() {
    let Some(tier) = tier().await else { return };
    let now = SystemTime::now();
    for key in ["old 1", "old 2", "old 3"] {
        done(tier.insert(key, bytes("old"), now + HOUR).await);
    }
    let young = done(tier.insert("young", bytes("young"), now + HOUR * 3).await);
    let renewed = done(tier.insert("renewed", bytes("old"), now + HOUR).await);
    let renewed = done(tier.update("renewed", renewed, bytes("young"), now + HOUR * 3).await);
    let then = now + HOUR * 2;
    assert_eq!(tier.purge_expired(now, 10).await.unwrap(), 0);
    assert_eq!(tier.purge_expired(then, 0).await.unwrap(), 0);
    assert_eq!(tier.purge_expired(then, 2).await.unwrap(), 2);
    assert_eq!(tier.purge_expired(then, 10).await.unwrap(), 1);
    assert_eq!(tier.purge_expired(then, 10).await.unwrap(), 0);
    assert_eq!(tier.read("young").await.unwrap(), Some(stored("young", young)));
    assert_eq!(tier.read("renewed").await.unwrap(), Some(stored("young", renewed)));
}

#[tokio::test]
async fn a_purge_goes_on_beyond_a_batch() {
    let Some(server) = postgres::shared() else { return };
    let table = postgres::fresh_table();
    let tier = builder(server).table(&table).connect().await.unwrap();
    server.sql(&format!(
        "INSERT INTO {table} SELECT 'k' || n, 'old', 1, now() - interval '1 minute' FROM generate_series(1, 2500) n"
    ));
    assert_eq!(tier.purge_expired(SystemTime::now(), 2_200).await.unwrap(), 2_200);
    assert_eq!(tier.purge_expired(SystemTime::now(), 10_000).await.unwrap(), 300);
}

/// A renewal that is not committed yet holds its record: a purge neither waits for it nor deletes what it renews.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_being_renewed_is_not_purged() {
    let Some(server) = postgres::shared() else { return };
    let table = postgres::fresh_table();
    let tier = builder(server).table(&table).connect().await.unwrap();
    for key in ["renewed", "old"] {
        done(tier.insert(key, bytes("old"), SystemTime::now() - HOUR).await);
    }
    let renewal = format!(
        "BEGIN; UPDATE {table} SET value = 'new', expires_at = now() + interval '1 hour' WHERE key = 'renewed'; \
         SELECT pg_sleep(2); COMMIT"
    );
    let renewing = tokio::task::spawn_blocking(move || postgres::shared().unwrap().sql(&renewal));
    let is_asleep =
        format!("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%UPDATE {table}%' AND wait_event = 'PgSleep'");
    while server.sql(&is_asleep) != "1" {
        tokio::task::yield_now().await;
    }
    assert_eq!(tier.purge_expired(SystemTime::now(), 10).await.unwrap(), 1);
    assert!(!renewing.is_finished(), "the purge has waited for the renewal");
    renewing.await.unwrap();
    assert_eq!(tier.purge_expired(SystemTime::now(), 10).await.unwrap(), 0);
    assert_eq!(&tier.read("renewed").await.unwrap().unwrap().value[..], b"new");
    assert_eq!(tier.read("old").await.unwrap(), None);
}

/// Eight writers renew a thousand expired sessions, each only once, while three nodes purge them: a session is either
/// renewed or purged, and what was acknowledged as renewed is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_sessions_are_purged_while_they_are_renewed_and_no_renewal_is_lost() {
    const SESSIONS: u64 = 1_000;
    const WRITERS: usize = 8;
    const PURGERS: usize = 3;
    let Some(tier) = tier().await else { return };
    let expired = SystemTime::now() - HOUR;
    let mut sessions: Vec<(String, Version)> = Vec::new();
    for number in 0..SESSIONS {
        let key = format!("k{number}");
        let expired = expired + Duration::from_micros(number);
        let version = done(tier.insert(&key, bytes("old"), expired).await);
        sessions.push((key, version));
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let first_renewal = Arc::new(Barrier::new(WRITERS + PURGERS));
    let mut purgers = JoinSet::new();
    for _ in 0..PURGERS {
        let (tier, is_over, first_renewal) = (tier.clone(), Arc::clone(&is_over), Arc::clone(&first_renewal));
        purgers.spawn(async move {
            first_renewal.wait().await;
            let mut purged = 0;
            while !is_over.load(Ordering::SeqCst) {
                purged += tier.purge_expired(SystemTime::now(), 5).await.unwrap();
            }
            purged
        });
    }
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        // In the order in which they expired, as a purge takes them.
        let mine: Vec<_> = sessions.iter().skip(writer).step_by(WRITERS).cloned().collect();
        let (tier, first_renewal) = (tier.clone(), Arc::clone(&first_renewal));
        writers.spawn(async move {
            let mut renewed = BTreeMap::new();
            for (at, (key, version)) in mine.into_iter().enumerate() {
                if at == 1 {
                    first_renewal.wait().await;
                }
                match tier.update(&key, version, bytes("new"), soon()).await.unwrap() {
                    Write::Done(version) => drop(renewed.insert(key, version)),
                    Write::Missing => {}
                    Write::Conflict => panic!("{key} was renewed by nobody else"),
                }
            }
            renewed
        });
    }
    let renewed: BTreeMap<_, _> = writers.join_all().await.into_iter().flatten().collect();
    is_over.store(true, Ordering::SeqCst);
    let purged: usize = purgers.join_all().await.into_iter().sum();
    let rest = tier.purge_expired(SystemTime::now(), 1_000).await.unwrap();
    assert_eq!(renewed.len() + purged + rest, sessions.len());
    assert!(renewed.len() >= WRITERS, "{} renewed, {purged} purged", renewed.len());
    for (key, _) in sessions {
        let expected = renewed.get(&key).map(|version| stored("new", *version));
        assert_eq!(tier.read(&key).await.unwrap(), expected, "{key}");
    }
}
