//! Owners under attack: people with dozens of sessions sign in on every node, log out, and end all of their sessions, under
//! the faults of the round. After an acknowledged end, no cookie of an earlier sign-in shows anybody.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use session_tests::attack::MAX_STALENESS;
use session_tests::attack_owners::Reply;
use session_tests::http::{Answer, exchange};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::client::TIMEOUT;
use super::cluster::Cluster;

const OWNERS: u64 = 3;
const CLIENTS: usize = 6;
/// memcached rounds a lifetime up to a whole second.
const ROUNDING: Duration = Duration::from_millis(1020);

/// The cookie of a sign-in that was acknowledged.
#[derive(Clone)]
struct SignIn {
    cookie: String,
    device: Option<String>,
    acknowledged: Instant,
}

/// An end that was acknowledged.
#[derive(Clone)]
struct End {
    began: Instant,
    acknowledged: Instant,
    /// Whether a cache may show an old session for a while.
    is_unfenced: bool,
    /// The session that was kept.
    kept: Option<String>,
}

#[derive(Default)]
struct Owner {
    user: u64,
    sign_ins: Vec<SignIn>,
    ends: Vec<End>,
    violations: Vec<String>,
    counts: BTreeMap<String, u64>,
}

impl Owner {
    /// A cookie has shown its owner, in a request that began then.
    fn check(&mut self, sign_in: &SignIn, began: Instant) {
        let forbids = |end: &&End| {
            let grace = if end.is_unfenced {
                MAX_STALENESS + ROUNDING
            } else {
                Duration::ZERO
            };
            let is_kept = end.kept.is_some() && end.kept == sign_in.device;
            sign_in.acknowledged < end.began && end.acknowledged + grace < began && !is_kept
        };
        if let Some(end) = self.ends.iter().find(forbids) {
            self.violations.push(format!(
                "owner {}: a session of a sign-in that was acknowledged {:?} before an end shows its owner {:?} after \
                 that was acknowledged",
                self.user,
                end.began - sign_in.acknowledged,
                began - end.acknowledged
            ));
        }
    }
}

/// The owners of a round.
pub(super) struct Owners {
    cluster: Arc<Cluster>,
    owners: Vec<Arc<Mutex<Owner>>>,
}

impl Owners {
    pub(super) fn new(cluster: &Arc<Cluster>, seed: u64) -> Self {
        let owner = |at: u64| Owner {
            user: seed.rotate_left(16) ^ at,
            ..Owner::default()
        };
        Self {
            cluster: Arc::clone(cluster),
            owners: (0..OWNERS).map(|at| Arc::new(Mutex::new(owner(at)))).collect(),
        }
    }

    /// Runs clients until they are stopped.
    pub(super) async fn run(&self, seed: u64, stop: &Arc<AtomicBool>) {
        let mut random = Rng::with_seed(seed.wrapping_add(1));
        let mut clients = JoinSet::new();
        for owner in &self.owners {
            for _ in 0..CLIENTS {
                let client = Client {
                    cluster: Arc::clone(&self.cluster),
                    owner: Arc::clone(owner),
                    random: random.fork(),
                };
                clients.spawn(client.run(Arc::clone(stop)));
            }
        }
        clients.join_all().await;
    }

    /// With all faults healed: whoever is signed in is listed, and after a last end nobody is. What was violated.
    pub(super) async fn finish(&self) -> Vec<String> {
        let mut violations = Vec::new();
        for owner in &self.owners {
            let client = Client {
                cluster: Arc::clone(&self.cluster),
                owner: Arc::clone(owner),
                random: Rng::with_seed(0),
            };
            client.finish().await;
            violations.append(&mut owner.lock().unwrap().violations);
        }
        violations
    }

    /// How often each thing has ended in each way.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for owner in &self.owners {
            for (what, count) in &owner.lock().unwrap().counts {
                *all.entry(what.clone()).or_default() += count;
            }
        }
        all
    }
}

struct Client {
    cluster: Arc<Cluster>,
    owner: Arc<Mutex<Owner>>,
    random: Rng,
}

impl Client {
    fn user(&self) -> u64 {
        self.owner.lock().unwrap().user
    }

    async fn run(mut self, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::SeqCst) {
            let sign_in = {
                let owner = self.owner.lock().unwrap();
                // Mostly a recent one: older ones have ended.
                let recent = owner
                    .sign_ins
                    .len()
                    .saturating_sub(if self.random.bool() { 4 } else { 40 });
                self.random.choice(&owner.sign_ins[recent..]).cloned()
            };
            match (self.random.u8(0..20), sign_in) {
                (0..=2, _) | (_, None) => self.sign_in(None).await,
                (3..=5, Some(sign_in)) => self.sign_in(Some(sign_in)).await,
                (6, Some(sign_in)) => {
                    self.call("POST", "log-out", Some(&sign_in.cookie)).await;
                }
                (7, _) => self.end("end-all", None).await,
                (8, Some(sign_in)) => self.end("end-others", Some(sign_in)).await,
                (_, Some(sign_in)) => self.who(&sign_in).await,
            }
            let pause = self.random.u64(0..30);
            sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Sends a request to some node; `None` without an answer.
    async fn call(&mut self, method: &str, path: &str, cookie: Option<&str>) -> Option<(Reply, Option<String>)> {
        let node = self.random.usize(0..self.cluster.nodes.len());
        let address = self.cluster.address(node);
        let exchanged = async {
            let stream = TcpStream::connect(address?).await.ok()?;
            let number = self.user();
            let path = format!("/owner/{path}?number={number}");
            Answer::parse(exchange(stream, method, &path, cookie).await.ok()?)
        };
        let answer = timeout(TIMEOUT, exchanged).await.ok().flatten();
        let answer = answer.filter(|answer| answer.status == 200);
        let reply = answer.and_then(|answer| Some((serde_json::from_str::<Reply>(&answer.body).ok()?, answer.cookie)));
        let outcome = reply.as_ref().map_or("no answer", |(reply, _)| &reply.outcome);
        let mut owner = self.owner.lock().unwrap();
        *owner.counts.entry(format!("{path}: {outcome}")).or_default() += 1;
        if outcome == "unexpected" {
            owner.violations.push(format!("{path} has failed in an unexpected way"));
        }
        drop(owner);
        reply
    }

    async fn sign_in(&mut self, to: Option<SignIn>) {
        let before = to.map(|sign_in| sign_in.cookie);
        let reply = self.call("POST", "sign-in", before.as_deref()).await;
        if let Some((reply, Some(cookie))) = reply
            && reply.user == Some(self.user())
            && ["done", "unfenced"].contains(&&*reply.outcome)
        {
            self.owner.lock().unwrap().sign_ins.push(SignIn {
                cookie,
                device: reply.device,
                acknowledged: Instant::now(),
            });
        }
    }

    async fn who(&mut self, sign_in: &SignIn) {
        let began = Instant::now();
        let reply = self.call("GET", "who", Some(&sign_in.cookie)).await;
        if reply.is_some_and(|(reply, _)| reply.user.is_some()) {
            self.owner.lock().unwrap().check(sign_in, began);
        }
    }

    async fn end(&mut self, path: &str, by: Option<SignIn>) {
        let began = Instant::now();
        let cookie = by.map(|sign_in| sign_in.cookie);
        let reply = self.call("POST", path, cookie.as_deref()).await;
        if let Some((reply, _)) = reply
            && ["done", "unfenced"].contains(&&*reply.outcome)
        {
            self.owner.lock().unwrap().ends.push(End {
                began,
                acknowledged: Instant::now(),
                is_unfenced: reply.outcome == "unfenced",
                kept: reply.device,
            });
        }
    }

    /// Repeats a request until it succeeds.
    async fn until_done(&mut self, method: &str, path: &str, cookie: Option<&str>) -> Reply {
        let give_up = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some((reply, _)) = self.call(method, path, cookie).await
                && reply.outcome == "done"
            {
                return reply;
            }
            assert!(
                Instant::now() < give_up,
                "{path} does not succeed though every fault was healed"
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn finish(mut self) {
        let sign_ins = self.owner.lock().unwrap().sign_ins.clone();
        let mut living = Vec::new();
        for sign_in in &sign_ins {
            let began = Instant::now();
            let reply = self.until_done("GET", "who", Some(&sign_in.cookie)).await;
            if reply.user.is_some() {
                self.owner.lock().unwrap().check(sign_in, began);
                living.extend(reply.device.map(|device| (device, sign_in)));
            }
        }
        let listed = self.until_done("GET", "list", None).await.devices;
        for (device, sign_in) in living.iter().filter(|(device, _)| !listed.contains(device)) {
            // An end whose client waits no longer may have come in between.
            if self
                .until_done("GET", "who", Some(&sign_in.cookie))
                .await
                .user
                .is_some()
            {
                let violation = format!("owner {}: the session {device} is not listed", self.user());
                self.owner.lock().unwrap().violations.push(violation);
            }
        }
        self.until_done("POST", "end-all", None).await;
        for sign_in in &sign_ins {
            if self
                .until_done("GET", "who", Some(&sign_in.cookie))
                .await
                .user
                .is_some()
            {
                let violation = format!("owner {}: a session shows its owner after the last end", self.user());
                self.owner.lock().unwrap().violations.push(violation);
            }
        }
    }
}
