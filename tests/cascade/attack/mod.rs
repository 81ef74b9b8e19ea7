//! The attack: sessions under load on several nodes, with faults injected into every part.
//!
//! The seed of a round determines the requests and the faults. Their timing depends on the machine, so that a seed that
//! failed may take a few runs to fail again. The operations of a round on one session are a history, and a
//! [checker](checker::check) decides whether it is valid.
//!
//! | variable | what it does |
//! |---|---|
//! | `SESSION_ATTACK_SECONDS` | runs rounds for so long (default: two short rounds) |
//! | `SESSION_ATTACK_SEED` | runs the round of this seed, and those that follow it |
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are tests as well, which the lints cannot see"
)]

mod checker;
mod checker_tests;
mod client;
mod cluster;
mod eviction;
#[cfg(feature = "valkey")]
mod failback;
mod history;
mod nemesis;
mod owners;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "datastore", feature = "postgres"))]
mod process;
mod staleness;
mod unreliable;
#[cfg(feature = "valkey")]
mod valkey;
mod workload;

use std::collections::BTreeMap;
use std::env;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use session_runtime::tier::embedded::LocalFile;
use session_tests::attack::MAX_STALENESS;
use tokio::time::sleep;

use self::checker::check;
use self::cluster::Cluster;
use self::history::History;
use self::nemesis::{FaultCounts, spawn_injectors};
use self::owners::Owners;
use self::workload::Workload;

/// The length of a round in a test run, and in a long attack.
const ROUND: Duration = Duration::from_secs(8);
const LONG_ROUND: Duration = Duration::from_secs(20);
/// The number of rounds in a test run.
const ROUNDS: u64 = 2;
/// How long late writes and stale cached records may last after a round.
const QUIET: Duration = Duration::from_millis(1000 + 1500);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_nodes_in_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let file = LocalFile::open(dir.path().join("attack.redb")).unwrap();
    if let Some(cluster) = Cluster::in_one_process(file).await {
        attack(cluster, "on_nodes_in_one_process").await;
    }
}

#[cfg(feature = "valkey")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_valkey_with_a_replica() {
    let dir = tempfile::tempdir().unwrap();
    let file = LocalFile::open(dir.path().join("attack.redb")).unwrap();
    if let Some(cluster) = Cluster::on_valkey(file).await {
        attack(cluster, "on_valkey_with_a_replica").await;
    }
}

#[cfg(feature = "datastore")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn across_processes() {
    if let Some(cluster) = Cluster::across_processes().await {
        attack(cluster, "across_processes").await;
    }
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_postgres_with_a_standby() {
    if let Some(cluster) = Cluster::on_postgres().await {
        attack(cluster, "on_postgres_with_a_standby").await;
    }
}

fn variable(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

/// The totals of all rounds.
#[derive(Default)]
struct Counts {
    rounds: u64,
    histories: u64,
    ops: BTreeMap<(history::Kind, &'static str), u64>,
    owners: BTreeMap<String, u64>,
    faults: FaultCounts,
}

impl Counts {
    fn add(&mut self, histories: &[History], owners: &Owners) {
        for (what, count) in owners.counts() {
            *self.owners.entry(what).or_default() += count;
        }
        self.rounds += 1;
        self.histories += histories.len() as u64;
        for op in histories.iter().flat_map(|history| &history.ops) {
            *self.ops.entry((op.kind, op.outcome.label())).or_default() += 1;
        }
    }

    fn print(&self, started: Instant) {
        fn list<K: Debug>(counts: &BTreeMap<K, u64>) -> String {
            let total: u64 = counts.values().sum();
            let lines = counts.iter().map(|(what, count)| format!("\n  {count:>8} {what:?}"));
            total.to_string() + &lines.collect::<String>()
        }
        eprintln!(
            "{} rounds in {:.0?}; histories checked: {}\noperations: {}\nof owners: {}\nfaults: {}",
            self.rounds,
            started.elapsed(),
            self.histories,
            list(&self.ops),
            list(&self.owners),
            list(&self.faults.lock().unwrap())
        );
    }
}

async fn attack(cluster: Cluster, name: &str) {
    let cluster = Arc::new(cluster);
    let started = Instant::now();
    let seconds = variable("SESSION_ATTACK_SECONDS").map(Duration::from_secs);
    let first = variable("SESSION_ATTACK_SEED").unwrap_or_else(|| fastrand::u64(..u64::from(u32::MAX)));
    let length = if seconds.is_some() { LONG_ROUND } else { ROUND };
    let mut counts = Counts::default();
    let mut failed = Vec::new();
    for round in 0.. {
        let is_over = seconds.map_or(round == ROUNDS, |seconds| started.elapsed() >= seconds);
        if is_over || failed.len() == 5 {
            break;
        }
        let seed = first.wrapping_add(round);
        let owners = Owners::new(&cluster, seed);
        let (histories, violations) = run_round(&cluster, &owners, seed, length, &counts.faults).await;
        counts.add(&histories, &owners);
        if !report(&histories, &violations, seed, name) {
            failed.push(seed);
        }
        drop(owners);
        if seconds.is_some() && (round % 20 == 19 || !failed.is_empty()) {
            counts.print(started);
        }
    }
    counts.print(started);
    Arc::into_inner(cluster)
        .expect("all clients and injectors have ended")
        .stop()
        .await;
    assert!(failed.is_empty(), "the rounds of these seeds failed: {failed:?}");
}

/// Runs one round: clients and faults together, then, with all faults healed, a last read of every session.
async fn run_round(
    cluster: &Arc<Cluster>,
    owners: &Owners,
    seed: u64,
    length: Duration,
    counts: &FaultCounts,
) -> (Vec<History>, Vec<String>) {
    let (clients, injectors) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let workload = Workload::new(cluster, &clients);
    let nemesis = spawn_injectors(cluster, seed, &injectors, counts);
    let timer = async {
        sleep(length).await;
        clients.store(true, Ordering::SeqCst);
        injectors.store(true, Ordering::SeqCst);
    };
    let owned = owners.run(seed, &clients);
    let (sessions, (), _, ()) = tokio::join!(workload.run(seed), owned, nemesis.join_all(), timer);
    sleep(QUIET.max(MAX_STALENESS)).await;
    workload.read_all(&sessions).await;
    let violations = owners.finish().await;
    (sessions.iter().map(|session| session.history()).collect(), violations)
}

/// Prints the violations; returns whether there are none.
fn report(histories: &[History], of_owners: &[String], seed: u64, name: &str) -> bool {
    let mut is_valid = of_owners.is_empty();
    for violation in of_owners.iter().take(5) {
        eprintln!("{violation}");
    }
    for history in histories {
        let found = check(history, MAX_STALENESS);
        if found.is_empty() {
            continue;
        }
        if is_valid {
            eprintln!("{history}");
        }
        is_valid = false;
        eprintln!("session {}:", history.id);
        for line in found.iter().take(5) {
            eprintln!("  {line}");
        }
        eprintln!("  {} violations in all", found.len());
    }
    if !is_valid {
        let features = match (cfg!(feature = "datastore"), cfg!(feature = "postgres")) {
            (false, false) => "",
            (true, false) => " --features datastore",
            (false, true) => " --features postgres",
            (true, true) => " --features datastore,postgres",
        };
        eprintln!(
            "to run it again: SESSION_ATTACK_SEED={seed} cargo test -p session-tests{features} --test cascade \
             attack::{name}"
        );
    }
    is_valid
}
