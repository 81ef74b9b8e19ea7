//! Nodes as processes that share a Datastore emulator. The emulator keeps its data in memory, and a durable tier does not
//! lose acknowledged writes: it is paused, and its connections fail, but it is never killed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use session_tests::services::emulator::{Emulator, Flavour, PROJECT};
use session_tests::services::process::Process;

use super::cluster::{Cluster, Durable, Launch, Running};

/// How long a node may take to start: it probes the emulator.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A Datastore emulator.
pub(super) struct Emulated(pub(super) Emulator);

impl Emulated {
    pub(super) fn address(&self) -> SocketAddr {
        self.0.address().parse().unwrap()
    }
}

impl Cluster {
    /// Three processes that share an emulator; `None` without memcached or the emulator.
    pub(super) async fn across_processes() -> Option<Self> {
        let emulator = tokio::task::block_in_place(|| Emulator::start(Flavour::Datastore))?;
        Self::start(3, Durable::Emulator(Box::new(Emulated(emulator)))).await
    }
}

/// Starts a node, and retries while it cannot reach its servers, as a supervisor does.
pub(super) async fn launch(launch: Launch, durable: SocketAddr) -> (Running, SocketAddr) {
    let started = Instant::now();
    let launch = Arc::new(launch);
    loop {
        let launch = Arc::clone(&launch);
        let launched = tokio::task::spawn_blocking(move || try_launch(&launch, durable)).await;
        if let Some((process, address)) = launched.unwrap() {
            return (Running::Process(process), address);
        }
        assert!(started.elapsed() < TIMEOUT, "a node did not start within {TIMEOUT:?}");
    }
}

fn try_launch(launch: &Launch, durable: SocketAddr) -> Option<(Process, SocketAddr)> {
    let keys: Vec<_> = launch.keys.iter().map(|key| STANDARD.encode(key)).collect();
    Process::start(env!("CARGO_BIN_EXE_attack-node"), |command| {
        command
            .env("SESSION_KEYS", keys.join(","))
            .env("MEMCACHE_SERVERS", launch.cache.to_string())
            .env("DATASTORE_EMULATOR_HOST", durable.to_string())
            .env("DATASTORE_PROJECT_ID", PROJECT)
            .env("MaxMemcacheSessionSizeBytes", launch.max_value_len.to_string())
            .env("CLOCK_FAST_BY", launch.fast_by.to_string());
    })
}
