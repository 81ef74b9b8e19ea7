//! Nodes as processes that share a Datastore emulator. The emulator keeps its data in memory, and a durable tier does not
//! lose acknowledged writes: it is paused, and its connections fail, but it is never killed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use session_tests::services::emulator::{Emulator, Flavour, PROJECT};
use session_tests::services::process::Process;

use super::cluster::{Cluster, Durable, Running};

/// How long a node may take to start: it probes the emulator.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Base64 of 32 bytes.
const KEYS: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

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
pub(super) async fn launch(cache: SocketAddr, durable: SocketAddr, max_value_len: usize) -> (Running, SocketAddr) {
    let started = Instant::now();
    loop {
        let launched = tokio::task::spawn_blocking(move || try_launch(cache, durable, max_value_len)).await;
        if let Some((process, address)) = launched.unwrap() {
            return (Running::Process(process), address);
        }
        assert!(started.elapsed() < TIMEOUT, "a node did not start within {TIMEOUT:?}");
    }
}

fn try_launch(cache: SocketAddr, durable: SocketAddr, max_value_len: usize) -> Option<(Process, SocketAddr)> {
    Process::start(env!("CARGO_BIN_EXE_attack-node"), |command| {
        command
            .env("SESSION_KEYS", KEYS)
            .env("MEMCACHE_SERVERS", cache.to_string())
            .env("DATASTORE_EMULATOR_HOST", durable.to_string())
            .env("DATASTORE_PROJECT_ID", PROJECT)
            .env("MaxMemcacheSessionSizeBytes", max_value_len.to_string());
    })
}
