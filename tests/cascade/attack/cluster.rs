//! The nodes and their tiers: a memcached behind a proxy for each node, and a durable tier.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex as Lock;

use session_runtime::tier::embedded::LocalFile;
use session_runtime::{CascadeStore, KeyRing, Memcache};
use session_tests::attack::{self, WrongClock};
use session_tests::proxy::Proxy;
use session_tests::services::memcached::Memcached;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use super::eviction::LITTLE_MEMORY;
use super::unreliable::Unreliable;

/// How many keys nodes keep behind the one that signs: more than are in front in a round.
const OLD_KEYS: usize = 8;

/// A node's limit for cached values, in bytes: on the first node, sessions grow beyond it.
pub(super) fn max_value_len(node: usize) -> usize {
    if node == 0 { 500 } else { 1 << 20 }
}

/// What the nodes share.
pub(super) struct Cluster {
    pub(super) memcached: Mutex<Memcached>,
    pub(super) nodes: Vec<Node>,
    pub(super) durable: Durable,
}

/// The durable tier. It also decides what a node is, since processes can share only a service.
pub(super) enum Durable {
    /// The nodes are runtimes of this process.
    File(Unreliable),
    #[cfg(feature = "datastore")]
    Emulator(Box<super::process::Emulated>),
    #[cfg(feature = "postgres")]
    Postgres(Box<super::postgres::Replicated>),
}

/// One node of the application.
pub(super) struct Node {
    pub(super) cache: Mutex<Proxy>,
    /// The connection to the durable tier, if that is a service.
    #[cfg(any(feature = "datastore", feature = "postgres"))]
    pub(super) durable: Option<Mutex<Proxy>>,
    pub(super) running: Mutex<Option<Running>>,
    address: Lock<Option<SocketAddr>>,
    /// How many steps of rolling keys it has taken.
    key_step: Lock<usize>,
}

/// How a node is started.
pub(super) struct Launch {
    pub(super) cache: SocketAddr,
    pub(super) max_value_len: usize,
    /// The newest first.
    pub(super) keys: Vec<[u8; 32]>,
    /// By how many seconds its clock is fast.
    pub(super) fast_by: i64,
}

/// What a node runs as.
pub(super) enum Running {
    Runtime(Runtime),
    #[cfg(any(feature = "datastore", feature = "postgres"))]
    Process(session_tests::services::process::Process),
}

impl Running {
    /// Ends it at once, at whatever await it is.
    pub(super) fn kill(self) {
        match self {
            Self::Runtime(runtime) => runtime.shutdown_background(),
            #[cfg(any(feature = "datastore", feature = "postgres"))]
            Self::Process(process) => drop(process),
        }
    }
}

impl Cluster {
    /// Two nodes in this process that share a file; `None` without memcached.
    pub(super) async fn in_one_process(file: LocalFile) -> Option<Self> {
        Self::start(2, Durable::File(Unreliable::new(file))).await
    }

    pub(super) async fn start(count: usize, durable: Durable) -> Option<Self> {
        let memcached = Memcached::start_with(&LITTLE_MEMORY)?;
        let mut nodes = Vec::new();
        for _ in 0..count {
            nodes.push(Node {
                cache: Mutex::new(Proxy::start(memcached.address()).await),
                #[cfg(any(feature = "datastore", feature = "postgres"))]
                durable: durable.proxy().await,
                running: Mutex::default(),
                address: Lock::default(),
                key_step: Lock::default(),
            });
        }
        let cluster = Self {
            memcached: Mutex::new(memcached),
            nodes,
            durable,
        };
        for node in 0..count {
            cluster.launch(node, 0).await;
        }
        Some(cluster)
    }

    /// A node's address; `None` while it is down.
    pub(super) fn address(&self, node: usize) -> Option<SocketAddr> {
        *self.nodes[node].address.lock().unwrap()
    }

    /// Kills a node, if it runs.
    pub(super) async fn kill(&self, node: usize) {
        let node = &self.nodes[node];
        *node.address.lock().unwrap() = None;
        if let Some(running) = node.running.lock().await.take() {
            running.kill();
        }
    }

    /// Starts a node that is down, with a clock that is fast by so many seconds.
    pub(super) async fn launch(&self, number: usize, fast_by: i64) {
        let node = &self.nodes[number];
        let launch = Launch {
            cache: node.cache.lock().await.address(),
            max_value_len: max_value_len(number),
            keys: keys(self.take_key_step(number)),
            fast_by,
        };
        let (running, address) = match &self.durable {
            Durable::File(file) => runtime(launch, file.clone()).await,
            #[cfg(any(feature = "datastore", feature = "postgres"))]
            service => {
                let proxy = node.durable.as_ref().expect("a service has a proxy");
                let variables = service.variables(proxy.lock().await.address());
                super::process::launch(launch, variables).await
            }
        };
        *node.running.lock().await = Some(running);
        *node.address.lock().unwrap() = Some(address);
    }

    /// Takes the next step of rolling keys, unless another node has the last one still before it.
    fn take_key_step(&self, number: usize) -> usize {
        let step = *self.nodes[number].key_step.lock().unwrap();
        let is_next = self.nodes.iter().all(|node| *node.key_step.lock().unwrap() >= step);
        let step = step + usize::from(is_next);
        *self.nodes[number].key_step.lock().unwrap() = step;
        step
    }

    /// Kills all nodes.
    pub(super) async fn stop(self) {
        for node in 0..self.nodes.len() {
            self.kill(node).await;
        }
    }
}

#[cfg(any(feature = "datastore", feature = "postgres"))]
impl Durable {
    async fn proxy(&self) -> Option<Mutex<Proxy>> {
        let address = match self {
            Self::File(_) => return None,
            #[cfg(feature = "datastore")]
            Self::Emulator(emulated) => emulated.address(),
            #[cfg(feature = "postgres")]
            Self::Postgres(replicated) => replicated.address().await,
        };
        Some(Mutex::new(Proxy::start(address).await))
    }

    /// What tells a node of the service, which it reaches at this address.
    fn variables(&self, proxy: SocketAddr) -> Vec<(&'static str, String)> {
        match self {
            Self::File(_) => Vec::new(),
            #[cfg(feature = "datastore")]
            Self::Emulator(_) => super::process::Emulated::variables(proxy),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => vec![("DATABASE_URL", session_tests::services::postgres::url(proxy))],
        }
    }
}

/// The keys after so many steps: each key goes behind the others first, and then, once every node has it, in front.
fn keys(step: usize) -> Vec<[u8; 32]> {
    let signing = step / 2;
    let behind = (step % 2 == 1).then_some(signing + 1);
    let numbers = (signing.saturating_sub(OLD_KEYS)..=signing).rev().chain(behind);
    let key = |number: usize| {
        let mut key = [7; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        key
    };
    numbers.map(key).collect()
}

/// A node in a runtime of its own, so that it can be killed with all its tasks.
async fn runtime(launch: Launch, durable: Unreliable) -> (Running, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let serving = runtime.spawn(async move {
        let cache = Memcache::connect([launch.cache.to_string()]).unwrap();
        let store = CascadeStore::builder(KeyRing::new(launch.keys).unwrap())
            .memcache(cache.with_max_value_len(launch.max_value_len))
            .datastore(durable)
            .clock(WrongClock(launch.fast_by));
        let store = attack::with_bounds(store).build().await.unwrap();
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, attack::app(&store)).into_future());
        address
    });
    let address = serving.await.unwrap();
    (Running::Runtime(runtime), address)
}
