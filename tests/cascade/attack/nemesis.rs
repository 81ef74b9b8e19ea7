//! Fault injection: several injectors, each of which injects one fault after another, and heals it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use session_tests::proxy::{Fault, Proxy};
use session_tests::services::memcached::Memcached;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::sleep;

#[cfg(any(feature = "datastore", feature = "postgres"))]
use super::cluster::Running;
use super::cluster::{Cache, Cluster, Durable};
use super::eviction::{delete_half, fill};

/// How wrong a node's clock is at most, in seconds. Two of these are less than the time that a session lives unused.
const MAX_CLOCK_ERROR: i64 = 480;

/// How often each fault was injected.
pub(super) type FaultCounts = Arc<Mutex<BTreeMap<&'static str, u64>>>;

/// Injects faults into one target.
struct Injector {
    cluster: Arc<Cluster>,
    random: Rng,
    counts: FaultCounts,
}

#[derive(Clone, Copy)]
enum Target {
    CacheNetwork,
    CacheServer,
    Nodes,
    Durable,
}

/// Injects and heals faults until `stop` is set. Every fault is healed when the set is empty.
pub(super) fn spawn_injectors(
    cluster: &Arc<Cluster>,
    seed: u64,
    stop: &Arc<AtomicBool>,
    counts: &FaultCounts,
) -> JoinSet<()> {
    let targets = [
        Target::CacheNetwork,
        Target::CacheNetwork,
        Target::CacheServer,
        Target::Nodes,
        Target::Durable,
    ];
    let mut random = Rng::with_seed(seed);
    let mut injectors = JoinSet::new();
    for target in targets {
        let mut injector = Injector {
            cluster: Arc::clone(cluster),
            random: random.fork(),
            counts: Arc::clone(counts),
        };
        let stop = Arc::clone(stop);
        // Faults follow each other at once in some rounds, with long pauses in others.
        let most = [600, 1500, 4000][random.usize(0..3)];
        injectors.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let pause = injector.random.u64(50..most);
                sleep(Duration::from_millis(pause)).await;
                match target {
                    Target::CacheNetwork => injector.cache_network().await,
                    Target::CacheServer => injector.cache_server().await,
                    Target::Nodes => injector.nodes().await,
                    Target::Durable => injector.durable().await,
                }
            }
        });
    }
    injectors
}

impl Injector {
    fn count(&self, fault: &'static str) {
        *self.counts.lock().unwrap().entry(fault).or_default() += 1;
    }

    /// Waits while a fault lasts: mostly well below a second, sometimes longer than any timeout of the cache.
    async fn hold(&mut self) {
        let millis = if self.random.u8(0..10) == 0 {
            self.random.u64(1000..4000)
        } else {
            self.random.u64(20..800)
        };
        sleep(Duration::from_millis(millis)).await;
    }

    fn node(&mut self) -> usize {
        self.random.usize(0..self.cluster.nodes.len())
    }

    async fn cache_network(&mut self) {
        let cluster = Arc::clone(&self.cluster);
        let mut proxy = cluster.nodes[self.node()].cache.lock().await;
        let at = self.random.u64(0..200);
        let reply = |fault| (Fault::Pass, fault);
        let (name, (to_server, to_client)) = match self.random.u8(0..12) {
            0 => return self.refuse(&mut proxy, "cache: refuse").await,
            1 => {
                self.count("cache: cut");
                return proxy.cut().await;
            }
            2 => ("cache: one way, nothing arrives", (Fault::FreezeAfter(0), Fault::Pass)),
            3 => ("cache: one way, nothing comes back", reply(Fault::FreezeAfter(0))),
            4 => ("cache: freeze within a command", (Fault::FreezeAfter(at), Fault::Pass)),
            5 => ("cache: freeze within a reply", reply(Fault::FreezeAfter(at))),
            6 => ("cache: cut within a command", (Fault::CutAfter(at), Fault::Pass)),
            7 => ("cache: cut within a reply", reply(Fault::CutAfter(at))),
            8 => {
                let mask = 1 << self.random.u8(0..8);
                ("cache: corrupt reply", reply(Fault::Corrupt(at, mask)))
            }
            9 => (
                "cache: unasked error",
                reply(Fault::Inject(at % 2 * at, b"ERROR\r\n".to_vec())),
            ),
            10 => ("cache: drip", (Fault::Drip, Fault::Drip)),
            _ => {
                let mut delay = || Fault::Delay(Duration::from_millis(self.random.u64(1..120)));
                ("cache: delay", (delay(), delay()))
            }
        };
        self.count(name);
        proxy.to_server().always(to_server);
        proxy.to_client().always(to_client);
        self.hold().await;
        self.heal(&proxy).await;
    }

    async fn refuse(&mut self, proxy: &mut Proxy, name: &'static str) {
        self.count(name);
        proxy.refuse().await;
        proxy.cut().await;
        self.hold().await;
        proxy.accept().await;
    }

    /// Lets everything pass again: delayed bytes arrive late, or never.
    async fn heal(&mut self, proxy: &Proxy) {
        if self.random.bool() {
            proxy.cut().await;
        }
        proxy.to_server().always(Fault::Pass);
        proxy.to_client().always(Fault::Pass);
    }

    async fn cache_server(&mut self) {
        let cluster = Arc::clone(&self.cluster);
        match &cluster.cache {
            Cache::Memcached(memcached) => self.memcached(&mut *memcached.lock().await).await,
            #[cfg(feature = "valkey")]
            Cache::Valkey(replicated) => self.valkey(&mut *replicated.lock().await).await,
        }
    }

    #[cfg(feature = "valkey")]
    async fn valkey(&mut self, servers: &mut super::valkey::Replicated) {
        match self.random.u8(0..16) {
            0 => {
                self.count("valkey: kill, later restart without a snapshot");
                servers.primary.forget_snapshot();
                block_in_place(|| servers.primary.kill());
                self.hold().await;
                block_in_place(|| servers.primary.restart());
            }
            1 | 2 => {
                self.count("valkey: restart from an older snapshot");
                block_in_place(|| servers.primary.save());
                self.hold().await;
                block_in_place(|| servers.primary.restart());
            }
            3 => {
                self.count("valkey: pause");
                block_in_place(|| servers.primary.pause());
                let pause = self.random.u64(20..400);
                sleep(Duration::from_millis(pause)).await;
                servers.primary.resume();
            }
            4 => {
                self.count("valkey: flush");
                block_in_place(|| servers.primary.send(&["FLUSHALL"]));
            }
            5 => {
                self.count("valkey: flush the scripts");
                block_in_place(|| servers.primary.send(&["SCRIPT", "FLUSH"]));
            }
            6 => {
                self.count("valkey: fill its memory");
                block_in_place(|| servers.fill(&mut self.random));
            }
            7 | 8 => {
                self.count("valkey: fill its memory, without eviction");
                block_in_place(|| {
                    servers.evicts(false);
                    servers.fill(&mut self.random);
                });
                self.hold().await;
                block_in_place(|| servers.evicts(true));
            }
            9 | 10 => {
                self.count("valkey: failover to a replica that lags");
                servers.lag();
                self.hold().await;
                servers.fail_over();
                self.retarget(servers.address()).await;
                self.hold().await;
                servers.rebuild().await;
            }
            11 => {
                self.count("valkey: the primary is demoted");
                servers.lag();
                self.hold().await;
                block_in_place(|| servers.demote());
                // As whoever demotes it does: then every node finds out, before one of them is at the other.
                for node in &self.cluster.nodes {
                    node.cache.lock().await.cut().await;
                }
                servers.follow_the_other().await;
                self.retarget(servers.address()).await;
            }
            _ => {
                let rounds = self.random.u8(1..12);
                for _ in 0..rounds {
                    self.count("valkey: evict");
                    block_in_place(|| servers.delete_half(&mut self.random));
                    let pause = self.random.u64(1..60);
                    sleep(Duration::from_millis(pause)).await;
                }
            }
        }
    }

    /// The name of the cache moves, as it does for every node.
    #[cfg(feature = "valkey")]
    async fn retarget(&self, address: std::net::SocketAddr) {
        for node in &self.cluster.nodes {
            let proxy = node.cache.lock().await;
            proxy.retarget(address);
            proxy.cut().await;
        }
    }

    async fn memcached(&mut self, memcached: &mut Memcached) {
        match self.random.u8(0..10) {
            0 => {
                self.count("memcached: kill, later restart");
                block_in_place(|| memcached.kill());
                self.hold().await;
                block_in_place(|| memcached.restart());
            }
            1 => {
                self.count("memcached: restart");
                block_in_place(|| memcached.restart());
            }
            2 => {
                self.count("memcached: pause");
                block_in_place(|| memcached.pause());
                // Briefly: it tells the time late when it goes on, and a node whose clock is slow goes by that.
                let pause = self.random.u64(20..400);
                sleep(Duration::from_millis(pause)).await;
                memcached.resume();
            }
            3 => {
                self.count("memcached: flush");
                block_in_place(|| memcached.flush());
            }
            4 | 5 => {
                self.count("memcached: fill its memory");
                fill(memcached.address(), &mut self.random)
                    .await
                    .expect("memcached answers");
            }
            _ => {
                let rounds = self.random.u8(1..12);
                for _ in 0..rounds {
                    self.count("memcached: evict");
                    // memcached runs, since only this injector stops it.
                    let address = memcached.address();
                    delete_half(address, &mut self.random).await.expect("memcached answers");
                    let pause = self.random.u64(1..60);
                    sleep(Duration::from_millis(pause)).await;
                }
            }
        }
    }

    async fn nodes(&mut self) {
        let number = self.node();
        #[cfg(any(feature = "datastore", feature = "postgres"))]
        if self.random.u8(0..3) > 0 {
            let cluster = Arc::clone(&self.cluster);
            let running = cluster.nodes[number].running.lock().await;
            if let Some(Running::Process(process)) = &*running {
                self.count("node: pause");
                process.pause();
                self.hold().await;
                if self.random.u8(0..6) == 0 {
                    sleep(Duration::from_secs(self.random.u64(5..12))).await;
                }
                process.resume();
                return;
            }
        }
        self.count("node: kill");
        self.cluster.kill(number).await;
        let pause = self.random.u64(0..500);
        sleep(Duration::from_millis(pause)).await;
        let fast_by = self.random.i64(-MAX_CLOCK_ERROR..MAX_CLOCK_ERROR);
        self.cluster.launch(number, fast_by).await;
    }

    async fn durable(&mut self) {
        let cluster = Arc::clone(&self.cluster);
        match &cluster.durable {
            Durable::File(file) => {
                self.count("durable: failing calls");
                file.fail(self.random.u64(5..90), self.random.u64(..));
                self.hold().await;
                file.fail(0, 0);
            }
            #[cfg(feature = "datastore")]
            Durable::Emulator(emulated) => {
                if self.random.u8(0..6) == 0 {
                    self.count("emulator: pause");
                    emulated.0.freeze();
                    self.hold().await;
                    if self.random.u8(0..6) == 0 {
                        sleep(Duration::from_secs(self.random.u64(5..10))).await;
                    }
                    emulated.0.thaw();
                    return;
                }
                self.network_of_a_node().await;
            }
            #[cfg(feature = "postgres")]
            Durable::Postgres(replicated) => self.postgres(replicated).await,
        }
    }

    #[cfg(feature = "postgres")]
    async fn postgres(&mut self, replicated: &super::postgres::Replicated) {
        use super::postgres::Fault;
        let (name, fault) = match self.random.u8(0..8) {
            0 => ("postgres: freeze", Fault::Freeze),
            1 => ("postgres: kill, later restart", Fault::Kill),
            2 => ("postgres: failover", Fault::Failover),
            _ => return self.network_of_a_node().await,
        };
        self.count(name);
        replicated.begin(fault).await;
        self.hold().await;
        if fault == Fault::Freeze && self.random.u8(0..6) == 0 {
            sleep(Duration::from_secs(self.random.u64(5..10))).await;
        }
        replicated.end(fault).await;
        if fault == Fault::Failover {
            // As an address that moves does.
            let primary = replicated.address().await;
            for node in &self.cluster.nodes {
                if let Some(proxy) = &node.durable {
                    let proxy = proxy.lock().await;
                    proxy.retarget(primary);
                    proxy.cut().await;
                }
            }
            self.hold().await;
            replicated.rebuild().await;
        }
    }

    #[cfg(any(feature = "datastore", feature = "postgres"))]
    async fn network_of_a_node(&mut self) {
        let cluster = Arc::clone(&self.cluster);
        let node = self.node();
        if let Some(proxy) = &cluster.nodes[node].durable {
            self.durable_network(&mut *proxy.lock().await).await;
        }
    }

    #[cfg(any(feature = "datastore", feature = "postgres"))]
    async fn durable_network(&mut self, proxy: &mut Proxy) {
        let at = self.random.u64(0..2000);
        let reply = |fault| (Fault::Pass, fault);
        let (name, (to_server, to_client)) = match self.random.u8(0..9) {
            0 => return self.refuse(proxy, "durable: refuse").await,
            1 => {
                self.count("durable: cut");
                return proxy.cut().await;
            }
            2 => (
                "durable: one way, nothing arrives",
                (Fault::FreezeAfter(0), Fault::Pass),
            ),
            3 => ("durable: one way, nothing comes back", reply(Fault::FreezeAfter(0))),
            4 => (
                "durable: freeze within a request",
                (Fault::FreezeAfter(at), Fault::Pass),
            ),
            5 => ("durable: freeze within an answer", reply(Fault::FreezeAfter(at))),
            6 => ("durable: cut within a request", (Fault::CutAfter(at), Fault::Pass)),
            7 => ("durable: cut within an answer", reply(Fault::CutAfter(at))),
            _ => {
                let mut delay = || Fault::Delay(Duration::from_millis(self.random.u64(1..400)));
                ("durable: delay", (delay(), delay()))
            }
        };
        self.count(name);
        proxy.to_server().always(to_server);
        proxy.to_client().always(to_client);
        self.hold().await;
        if self.random.u8(0..6) == 0 {
            sleep(Duration::from_secs(self.random.u64(5..12))).await;
        }
        self.heal(proxy).await;
    }
}
