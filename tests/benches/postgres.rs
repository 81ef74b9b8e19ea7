//! What reads, writes and purges cost in a table of a million sessions, and how the server plans them.
//!
//! `cargo bench -p session-tests --features postgres --bench postgres`; a number behind `--` is that of the sessions. It starts
//! a Postgres of its own, with `fsync`, in the folder for temporary files.
#![allow(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that prints"
)]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use session_runtime::tier::postgres::Postgres;
use session_runtime::tier::{DurableTier, Version, Write};
use session_tests::services::postgres::PostgresServer;
use tokio::task::JoinSet;

/// How long each kind of call is measured.
const TIME: Duration = Duration::from_secs(4);
/// The bytes of a session: a cart, a user, and what belongs to every record.
const SIZE: usize = 320;
/// One session in so many has expired.
const EXPIRED: usize = 10;
const HOUR: Duration = Duration::from_hours(1);

const SETTINGS: [&str; 5] = [
    "fsync=on",
    "full_page_writes=on",
    "shared_buffers=1GB",
    "max_wal_size=4GB",
    "session_preload_libraries=auto_explain",
];

fn key(number: usize) -> String {
    format!("session.{number:012}")
}

fn value(byte: u8) -> Bytes {
    vec![byte; SIZE].into()
}

fn later() -> SystemTime {
    SystemTime::now() + HOUR
}

fn assert_done(write: Write) {
    assert!(matches!(write, Write::Done(_)), "{write:?}");
}

#[tokio::main]
async fn main() {
    let count = std::env::args().find_map(|argument| argument.parse().ok());
    let count = count.unwrap_or(1_000_000);
    let Some(server) = PostgresServer::start_with(&SETTINGS) else {
        return;
    };
    let builder = Postgres::builder(server.url()).create_table();
    let tier = builder.clone().connect().await.unwrap();
    fill(&server, count);
    println!("| call | callers | calls a second | median | p99 |\n|---|---|---|---|---|");
    // Sessions that have not expired, and a write of each at most once, in an order that is none of the table's: 7919
    // is prime.
    let next = Arc::new(AtomicUsize::new(0));
    let number = {
        let next = Arc::clone(&next);
        move || {
            let nth = next.fetch_add(1, Ordering::Relaxed) * 7_919 % (count - count / EXPIRED);
            nth + nth / (EXPIRED - 1) + 1
        }
    };
    for callers in [1, 32] {
        let number = number.clone();
        measure(&tier, "read", callers, move |tier| {
            let key = key(number());
            async move { assert!(tier.read(&key).await.unwrap().is_some(), "{key}") }
        })
        .await;
    }
    next.store(0, Ordering::Relaxed);
    for callers in [1, 32] {
        let number = number.clone();
        measure(&tier, "update", callers, move |tier| {
            let key = key(number());
            async move { assert_done(tier.update(&key, Version(1), value(2), later()).await.unwrap()) }
        })
        .await;
    }
    let next = Arc::new(AtomicUsize::new(count));
    for callers in [1, 32] {
        let next = Arc::clone(&next);
        measure(&tier, "insert", callers, move |tier| {
            let key = key(next.fetch_add(1, Ordering::Relaxed) + 1);
            async move { assert_done(tier.insert(&key, value(1), later()).await.unwrap()) }
        })
        .await;
    }
    let started = Instant::now();
    let purged = tier.purge_expired(SystemTime::now(), count).await.unwrap();
    println!("\npurged {purged} of {count} in {:.1?}\n", started.elapsed());
    explain(&server, &builder.connect().await.unwrap()).await;
}

/// Sessions of which one in [`EXPIRED`] has expired. Their order in the table is not that in which they expire.
fn fill(server: &PostgresServer, count: usize) {
    let started = Instant::now();
    server.sql(&format!(
        "INSERT INTO session_records SELECT 'session.' || lpad(n::text, 12, '0'), \
         decode(string_agg(md5(n::text || part), ''), 'hex'), 1, \
         now() + interval '1 second' * (CASE n % {EXPIRED} WHEN 0 THEN -1 ELSE 1 END) * (3600 + n % 1200 * 7919 % 1200) \
         FROM generate_series(1, {count}) n, generate_series(1, {}) part GROUP BY n",
        SIZE / 16
    ));
    server.sql("VACUUM (ANALYZE) session_records");
    server.sql("CHECKPOINT");
    let sizes = "SELECT pg_size_pretty(pg_table_size('session_records')) || ', indexes ' || \
                 pg_size_pretty(pg_indexes_size('session_records'))";
    println!(
        "{count} sessions of {SIZE} bytes, made in {:.0?}: the table {}\n",
        started.elapsed(),
        server.sql(sizes)
    );
}

/// Makes calls from so many callers at once, and prints how long they took.
async fn measure<F>(tier: &Postgres, name: &str, callers: usize, call: impl Fn(Postgres) -> F + Clone + Send + 'static)
where
    F: Future<Output = ()> + Send,
{
    let started = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..callers {
        let (tier, call) = (tier.clone(), call.clone());
        calls.spawn(async move {
            let mut times = Vec::new();
            while started.elapsed() < TIME {
                let begun = Instant::now();
                call(tier.clone()).await;
                times.push(begun.elapsed());
            }
            times
        });
    }
    let mut times: Vec<_> = calls.join_all().await.into_iter().flatten().collect();
    times.sort();
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!(
        "| {name} | {callers} | {rate:.0} | {:.2} ms | {:.2} ms |",
        at(50),
        at(99)
    );
}

/// Prints the plans of the statements that the tier sends, as the server has carried them out.
async fn explain(server: &PostgresServer, tier: &Postgres) {
    for setting in [
        "log_min_duration = 0",
        "log_analyze = on",
        "log_timing = off",
        "log_buffers = on",
    ] {
        server.sql(&format!("ALTER SYSTEM SET auto_explain.{setting}"));
    }
    server.sql("SELECT pg_reload_conf()");
    let before = server.log().len();
    let Write::Done(version) = tier.insert("explained", value(1), later()).await.unwrap() else {
        panic!("a new key")
    };
    let Write::Done(version) = tier.update("explained", version, value(2), later()).await.unwrap() else {
        panic!("the latest version")
    };
    tier.read("explained").await.unwrap();
    assert_done(tier.delete("explained", version).await.unwrap());
    server
        .sql("UPDATE session_records SET expires_at = now() - interval '1 hour' WHERE key LIKE 'session.0000000001%'");
    tier.purge_expired(SystemTime::now(), 1_000).await.unwrap();
    let log = server.log();
    for line in log[before..].lines().filter(|line| line.starts_with('\t')) {
        println!("{}", line.trim_start_matches('\t'));
    }
}
