//! The nodes and their tiers: a memcached behind a proxy for each node, and a durable tier.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex as Lock;

use session_runtime::tier::embedded::LocalFile;
use session_runtime::{CascadeStore, KeyRing, Memcache};
use session_tests::attack;
use session_tests::proxy::Proxy;
use session_tests::services::memcached::Memcached;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;

use super::unreliable::Unreliable;

const KEY: [u8; 32] = [7; 32];

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
}

/// One node of the application.
pub(super) struct Node {
    pub(super) cache: Mutex<Proxy>,
    /// The connection to the durable tier, if that is a service.
    #[cfg(feature = "datastore")]
    pub(super) durable: Option<Mutex<Proxy>>,
    pub(super) running: Mutex<Option<Running>>,
    address: Lock<Option<SocketAddr>>,
}

/// What a node runs as.
pub(super) enum Running {
    Runtime(Runtime),
    #[cfg(feature = "datastore")]
    Process(session_tests::services::process::Process),
}

impl Running {
    /// Ends it at once, at whatever await it is.
    pub(super) fn kill(self) {
        match self {
            Self::Runtime(runtime) => runtime.shutdown_background(),
            #[cfg(feature = "datastore")]
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
        let memcached = Memcached::start()?;
        let mut nodes = Vec::new();
        for _ in 0..count {
            nodes.push(Node {
                cache: Mutex::new(Proxy::start(memcached.address()).await),
                #[cfg(feature = "datastore")]
                durable: durable.proxy().await,
                running: Mutex::default(),
                address: Lock::default(),
            });
        }
        let cluster = Self {
            memcached: Mutex::new(memcached),
            nodes,
            durable,
        };
        for node in 0..count {
            cluster.launch(node).await;
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

    /// Starts a node that is down.
    pub(super) async fn launch(&self, number: usize) {
        let node = &self.nodes[number];
        let cache = node.cache.lock().await.address();
        let (running, address) = match &self.durable {
            Durable::File(file) => runtime(cache, file.clone(), max_value_len(number)).await,
            #[cfg(feature = "datastore")]
            Durable::Emulator(_) => {
                let proxy = node.durable.as_ref().expect("a service has a proxy");
                let durable = proxy.lock().await.address();
                super::process::launch(cache, durable, max_value_len(number)).await
            }
        };
        *node.running.lock().await = Some(running);
        *node.address.lock().unwrap() = Some(address);
    }

    /// Kills all nodes.
    pub(super) async fn stop(self) {
        for node in 0..self.nodes.len() {
            self.kill(node).await;
        }
    }
}

#[cfg(feature = "datastore")]
impl Durable {
    async fn proxy(&self) -> Option<Mutex<Proxy>> {
        match self {
            Self::File(_) => None,
            Self::Emulator(emulated) => Some(Mutex::new(Proxy::start(emulated.address()).await)),
        }
    }
}

/// A node in a runtime of its own, so that it can be killed with all its tasks.
async fn runtime(cache: SocketAddr, durable: Unreliable, max_value_len: usize) -> (Running, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let serving = runtime.spawn(async move {
        let cache = Memcache::connect([cache.to_string()]).unwrap();
        let store = CascadeStore::builder(KeyRing::new([KEY]).unwrap())
            .memcache(cache.with_max_value_len(max_value_len))
            .datastore(durable);
        let store = attack::with_bounds(store).build().await.unwrap();
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, attack::app(&store)).into_future());
        address
    });
    let address = serving.await.unwrap();
    (Running::Runtime(runtime), address)
}
