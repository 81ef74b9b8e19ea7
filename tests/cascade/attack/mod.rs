//! The attack: sessions under load on several nodes, while everything that may fail does.
//!
//! A round has a seed, from which follow what the clients ask for and what goes wrong; when each of it happens follows
//! from the machine, so that a seed that failed may take a few runs to fail again. What a round did to each session is
//! a history, and a [checker](checker::check) decides whether it may be.
//!
//! | variable | what it does |
//! |---|---|
//! | `SESSION_ATTACK_SECONDS` | attacks for so long (default: two short rounds) |
//! | `SESSION_ATTACK_SEED` | runs the round of this seed, and those that follow it |
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are tests as well, which the lints cannot see"
)]

mod checked;
mod checker;
mod client;
mod cluster;
mod history;
mod nemesis;
#[cfg(feature = "datastore")]
mod process;
mod staleness;
mod unreliable;
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
use self::nemesis::{Tally, unleash};
use self::workload::Workload;

/// How long the clients of one round are at it, in a test run and in a long attack.
const ROUND: Duration = Duration::from_secs(8);
const LONG_ROUND: Duration = Duration::from_secs(20);
/// How many rounds there are in a test run.
const ROUNDS: u64 = 2;
/// A late write lands, and a cached record is no longer believed.
const QUIET: Duration = Duration::from_millis(1000 + 1500);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_nodes_in_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let file = LocalFile::open(dir.path().join("attack.redb")).unwrap();
    if let Some(cluster) = Cluster::in_one_process(file).await {
        attack(cluster, "on_nodes_in_one_process").await;
    }
}

#[cfg(feature = "datastore")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn across_processes() {
    if let Some(cluster) = Cluster::across_processes().await {
        attack(cluster, "across_processes").await;
    }
}

fn variable(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// What happened in all rounds so far.
#[derive(Default)]
struct Counts {
    rounds: u64,
    histories: u64,
    ops: BTreeMap<(history::Kind, &'static str), u64>,
    faults: Tally,
}

impl Counts {
    fn add(&mut self, histories: &[History]) {
        self.rounds += 1;
        self.histories += histories.len() as u64;
        for op in histories.iter().flat_map(|history| &history.ops) {
            *self.ops.entry((op.kind, op.outcome.word())).or_default() += 1;
        }
    }

    fn print(&self, started: Instant) {
        fn list<K: Debug>(counts: &BTreeMap<K, u64>) -> String {
            let total: u64 = counts.values().sum();
            let lines = counts.iter().map(|(what, count)| format!("\n  {count:>8} {what:?}"));
            total.to_string() + &lines.collect::<String>()
        }
        eprintln!(
            "{} rounds in {:.0?}; histories checked: {}\noperations: {}\nfaults: {}",
            self.rounds,
            started.elapsed(),
            self.histories,
            list(&self.ops),
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
        let histories = fight(&cluster, seed, length, &counts.faults).await;
        counts.add(&histories);
        if !report(&histories, seed, name) {
            failed.push(seed);
        }
        if seconds.is_some() && (round % 20 == 19 || !failed.is_empty()) {
            counts.print(started);
        }
    }
    counts.print(started);
    Arc::into_inner(cluster).expect("all has ended").stop().await;
    assert!(failed.is_empty(), "the rounds of these seeds failed: {failed:?}");
}

/// One round: everything at once, then all is mended and looked at once more.
async fn fight(cluster: &Arc<Cluster>, seed: u64, length: Duration, tally: &Tally) -> Vec<History> {
    let (clients, hands) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let workload = Workload::new(cluster, &clients);
    let nemesis = unleash(cluster, seed, &hands, tally);
    let timer = async {
        sleep(length).await;
        clients.store(true, Ordering::SeqCst);
        hands.store(true, Ordering::SeqCst);
    };
    let (sessions, _, ()) = tokio::join!(workload.run(seed), nemesis.join_all(), timer);
    sleep(QUIET.max(MAX_STALENESS)).await;
    workload.read_all(&sessions).await;
    sessions.iter().map(|session| session.history()).collect()
}

/// Prints what must not be; tells whether there is nothing such.
fn report(histories: &[History], seed: u64, name: &str) -> bool {
    let mut sound = true;
    for history in histories {
        let found = check(history, MAX_STALENESS);
        if found.is_empty() {
            continue;
        }
        if sound {
            eprintln!("{history}");
        }
        sound = false;
        eprintln!("session {}:", history.id);
        for line in found.iter().take(5) {
            eprintln!("  {line}");
        }
        eprintln!("  {} violations in all", found.len());
    }
    if !sound {
        let features = if cfg!(feature = "datastore") {
            " --features datastore"
        } else {
            ""
        };
        eprintln!(
            "to run it again: SESSION_ATTACK_SEED={seed} cargo test -p session-tests{features} --test cascade \
             attack::{name}"
        );
    }
    sound
}
