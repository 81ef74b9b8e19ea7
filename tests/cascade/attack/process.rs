//! Nodes as processes that share a service as the durable tier.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use session_tests::services::process::Process;

use super::cluster::{Launch, Running};

/// How long a node may take to start: it asks the durable tier.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Starts a node with these variables, and retries while it cannot reach its servers, as a supervisor does.
pub(super) async fn launch(launch: Launch, variables: Vec<(&'static str, String)>) -> (Running, SocketAddr) {
    let started = Instant::now();
    let (launch, variables) = (Arc::new(launch), Arc::new(variables));
    loop {
        let (launch, variables) = (Arc::clone(&launch), Arc::clone(&variables));
        let launched = tokio::task::spawn_blocking(move || try_launch(&launch, &variables)).await;
        if let Some((process, address)) = launched.unwrap() {
            return (Running::Process(process), address);
        }
        assert!(started.elapsed() < TIMEOUT, "a node did not start within {TIMEOUT:?}");
    }
}

fn try_launch(launch: &Launch, variables: &[(&'static str, String)]) -> Option<(Process, SocketAddr)> {
    let keys: Vec<_> = launch.keys.iter().map(|key| STANDARD.encode(key)).collect();
    Process::start(env!("CARGO_BIN_EXE_attack-node"), |command| {
        command
            .env("SESSION_KEYS", keys.join(","))
            .env("MEMCACHE_SERVERS", launch.cache.to_string())
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .env("MaxMemcacheSessionSizeBytes", launch.max_value_len.to_string())
            .env("CLOCK_FAST_BY", launch.fast_by.to_string());
    })
}

#[cfg(feature = "datastore")]
pub(super) use emulated::Emulated;

#[cfg(feature = "datastore")]
mod emulated {
    use std::net::SocketAddr;

    use session_tests::services::emulator::{Emulator, Flavour, PROJECT};

    use crate::attack::cluster::{Cluster, Durable};

    /// A Datastore emulator. It keeps its data in memory, and a durable tier does not lose acknowledged writes: it is
    /// paused, and its connections fail, but it is never killed.
    pub(crate) struct Emulated(pub(crate) Emulator);

    impl Emulated {
        pub(crate) fn address(&self) -> SocketAddr {
            self.0.address().parse().unwrap()
        }

        pub(crate) fn variables(proxy: SocketAddr) -> Vec<(&'static str, String)> {
            vec![
                ("DATASTORE_EMULATOR_HOST", proxy.to_string()),
                ("DATASTORE_PROJECT_ID", PROJECT.to_owned()),
            ]
        }
    }

    impl Cluster {
        /// Three processes that share an emulator; `None` without memcached or the emulator.
        pub(crate) async fn across_processes() -> Option<Self> {
            let emulator = tokio::task::block_in_place(|| Emulator::start(Flavour::Datastore))?;
            Self::start(3, Durable::Emulator(Box::new(Emulated(emulator)))).await
        }
    }
}
