//! Nodes as processes, each a build of `session_tests::visits` with its own environment, on memcacheds that they share.

mod builds;
mod clocks;
mod keys;
mod servers;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use session_tests::http::{Answer, exchange};
use session_tests::services::memcached::Memcached;
use session_tests::services::process::Process;
use session_tests::visits::MAX_STALENESS;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long something may take that takes milliseconds on a machine that has nothing else to do.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Base64 of 32 bytes, for each of two keys.
const OLD_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const NEW_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

/// The servers that nodes share.
struct Servers {
    caches: Vec<Memcached>,
    records: Memcached,
}

impl Servers {
    /// `None` where memcached is not installed.
    fn start(caches: usize) -> Option<Self> {
        Some(Self {
            records: Memcached::start_with(&["-M"])?,
            caches: (0..caches).map(|_| Memcached::start()).collect::<Option<_>>()?,
        })
    }

    /// A node that knows these of the caches, with more variables.
    fn node(&self, caches: &[usize], variables: &[(&str, &str)]) -> Node {
        let caches: Vec<_> = caches.iter().map(|at| self.caches[*at].address().to_string()).collect();
        let started = Process::start(env!("CARGO_BIN_EXE_visits-node"), |command| {
            command
                .env("SESSION_KEYS", OLD_KEY)
                .env("MEMCACHE_SERVERS", caches.join(","))
                .env("RECORDS", self.records.address().to_string())
                .env("BUILD", "first")
                .envs(variables.iter().copied());
        });
        let (process, address) = started.unwrap();
        Node {
            _process: process,
            address,
        }
    }
}

struct Node {
    _process: Process,
    address: SocketAddr,
}

impl Node {
    async fn send(&self, cookie: Option<&str>, method: &str, path: &str) -> Answer {
        let exchange = async { exchange(TcpStream::connect(self.address).await?, method, path, cookie).await };
        let answer = timeout(TIMEOUT, exchange).await.unwrap().unwrap();
        Answer::parse(answer).unwrap()
    }

    /// Moves the clock of this node on, which stands still otherwise.
    async fn advance(&self, by: Duration) {
        let path = format!("/advance?seconds={}", by.as_secs());
        assert_eq!(self.send(None, "POST", &path).await.status, 200);
    }
}

/// A client that keeps its cookie.
#[derive(Default)]
struct Browser(Option<String>);

impl Browser {
    async fn send(&mut self, node: &Node, method: &str, path: &str) -> Answer {
        let answer = node.send(self.0.as_deref(), method, path).await;
        if let Some(cookie) = &answer.cookie {
            self.0 = Some(cookie.clone());
        }
        answer
    }

    /// A client with a session of one visit.
    async fn visitor(node: &Node) -> Self {
        let mut browser = Self::default();
        browser.visit(node).await;
        browser
    }

    async fn visit(&mut self, node: &Node) {
        let answer = self.send(node, "POST", "/visit").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// What the node shows of the session.
    async fn read(&mut self, node: &Node) -> String {
        let answer = self.send(node, "GET", "/").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// Reads until the node finds the session in its cache, which is filled beside the requests.
    async fn fill(&mut self, node: &Node) {
        let started = Instant::now();
        while self.send(node, "GET", "/").await.load() != Some("memcache") {
            assert!(started.elapsed() < TIMEOUT, "the cache was not filled");
        }
    }
}
