//! The nodes and their tiers: a memcached behind a proxy for each node, and a durable tier.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex as Lock;
use std::time::Duration;

#[cfg(feature = "valkey")]
use session_runtime::Valkey;
use session_runtime::tier::embedded::LocalFile;
use session_runtime::{Builder, CascadeStore, KeyRing, Memcache, WithMemcache};
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

/// How often a node of this process is started again that was refused: for as long as a switch of servers takes.
const MAX_STARTS: u32 = 400;

/// What the nodes share.
pub(super) struct Cluster {
    pub(super) cache: Cache,
    pub(super) nodes: Vec<Node>,
    pub(super) durable: Durable,
}

/// The cache that the nodes share.
pub(super) enum Cache {
    Memcached(Mutex<Memcached>),
    #[cfg(feature = "valkey")]
    Valkey(Box<Mutex<super::valkey::Replicated>>),
}

impl Cache {
    async fn address(&self) -> SocketAddr {
        match self {
            Self::Memcached(memcached) => memcached.lock().await.address(),
            #[cfg(feature = "valkey")]
            Self::Valkey(replicated) => replicated.lock().await.address(),
        }
    }
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

    /// As [`in_one_process`](Self::in_one_process), on a Valkey with a replica; `None` without Valkey or Redis.
    #[cfg(feature = "valkey")]
    pub(super) async fn on_valkey(file: LocalFile) -> Option<Self> {
        let replicated = super::valkey::Replicated::start().await?;
        let cache = Cache::Valkey(Box::new(Mutex::new(replicated)));
        Some(Self::start_on(cache, 2, Durable::File(Unreliable::new(file))).await)
    }

    pub(super) async fn start(count: usize, durable: Durable) -> Option<Self> {
        let memcached = Memcached::start_with(&LITTLE_MEMORY)?;
        Some(Self::start_on(Cache::Memcached(Mutex::new(memcached)), count, durable).await)
    }

    async fn start_on(cache: Cache, count: usize, durable: Durable) -> Self {
        let address = cache.address().await;
        let mut nodes = Vec::new();
        for _ in 0..count {
            nodes.push(Node {
                cache: Mutex::new(Proxy::start(address).await),
                #[cfg(any(feature = "datastore", feature = "postgres"))]
                durable: durable.proxy().await,
                running: Mutex::default(),
                address: Lock::default(),
                key_step: Lock::default(),
            });
        }
        let cluster = Self { cache, nodes, durable };
        for node in 0..count {
            cluster.launch(node, 0).await;
        }
        cluster
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
            Durable::File(file) => runtime(launch, file.clone(), self.is_on_valkey()).await,
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

    fn is_on_valkey(&self) -> bool {
        !matches!(self.cache, Cache::Memcached(_))
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
async fn runtime(launch: Launch, durable: Unreliable, is_on_valkey: bool) -> (Running, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let serving = runtime.spawn(async move {
        // Again while the name leads to a replica, as a supervisor does.
        let mut attempts = 0;
        let store = loop {
            let builder = CascadeStore::builder(KeyRing::new(launch.keys.clone()).unwrap());
            let builder = if is_on_valkey {
                on_valkey(builder, launch.cache, launch.max_value_len)
            } else {
                let cache = Memcache::connect([launch.cache.to_string()]).unwrap();
                builder.memcache(cache.with_max_value_len(launch.max_value_len))
            };
            let store = builder.datastore(durable.clone()).clock(WrongClock(launch.fast_by));
            match attack::with_bounds(store).build().await {
                Ok(store) => break store,
                Err(error) if !is_on_valkey || attempts == MAX_STARTS => panic!("a node did not start: {error:?}"),
                Err(_) => attempts += 1,
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, attack::app(&store)).into_future());
        address
    });
    let address = serving.await.unwrap();
    (Running::Runtime(runtime), address)
}

#[cfg(feature = "valkey")]
fn on_valkey(builder: Builder, address: SocketAddr, max_value_len: usize) -> Builder<WithMemcache> {
    let cache = Valkey::connect(session_tests::services::valkey::url(address)).unwrap();
    builder.memcache(cache.with_max_value_len(max_value_len))
}

#[cfg(not(feature = "valkey"))]
fn on_valkey(_: Builder, _: SocketAddr, _: usize) -> Builder<WithMemcache> {
    unreachable!("there is no such cluster without the feature")
}
