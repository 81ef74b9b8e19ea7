//! The clients: several groups, each of which works on one session after another.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::client::{Call, TIMEOUT, send};
use super::cluster::Cluster;
use super::history::{History, Kind, Op, Outcome};

const GROUPS: usize = 6;
const CLIENTS: usize = 4;
/// How long a node may take to serve again once every fault is healed.
const RECOVERY: Duration = Duration::from_secs(60);

/// What the clients of a round share.
#[derive(Clone)]
pub(super) struct Workload {
    cluster: Arc<Cluster>,
    started: Instant,
    /// The number of the last operation.
    numbers: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
}

/// One session and its clients.
pub(super) struct Session {
    id: u64,
    /// The newest cookie, and how many rotations gave it.
    cookie: Mutex<(u32, String)>,
    ops: Mutex<Vec<Op>>,
    /// How many operations are left to do.
    left: AtomicI32,
}

impl Session {
    pub(super) fn history(&self) -> History {
        History {
            id: self.id,
            ops: self.ops.lock().unwrap().clone(),
        }
    }
}

impl Workload {
    pub(super) fn new(cluster: &Arc<Cluster>, stop: &Arc<AtomicBool>) -> Self {
        Self {
            cluster: Arc::clone(cluster),
            started: Instant::now(),
            numbers: Arc::default(),
            stop: Arc::clone(stop),
        }
    }

    /// Runs until it is stopped; returns all sessions.
    pub(super) async fn run(&self, seed: u64) -> Vec<Arc<Session>> {
        let mut random = Rng::with_seed(seed);
        let mut groups = JoinSet::new();
        for group in 0..GROUPS {
            let (workload, mut random) = (self.clone(), random.fork());
            groups.spawn(async move {
                let mut sessions = Vec::new();
                for count in 0.. {
                    let id = seed.rotate_left(32) ^ ((group as u64) << 16 | count);
                    match workload.create(id, &mut random).await {
                        Some(session) => {
                            let session = Arc::new(session);
                            workload.run_clients(&session, &mut random).await;
                            sessions.push(session);
                        }
                        None => sleep(Duration::from_millis(10)).await,
                    }
                    if workload.is_stopped() {
                        break;
                    }
                }
                sessions
            });
        }
        groups.join_all().await.into_iter().flatten().collect()
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    async fn create(&self, id: u64, random: &mut Rng) -> Option<Session> {
        let node = random.usize(0..self.cluster.nodes.len());
        let call = Call {
            kind: Kind::Create,
            number: id,
            delay: 0,
            cookie: None,
            timeout: TIMEOUT,
        };
        let (op, cookie) = self.execute(node, &call, 0).await;
        Some(Session {
            id,
            cookie: Mutex::new((0, cookie?)),
            ops: Mutex::new(vec![op]),
            left: AtomicI32::new(random.i32(20..200)),
        })
    }

    async fn run_clients(&self, session: &Arc<Session>, random: &mut Rng) {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (workload, session, mut random) = (self.clone(), Arc::clone(session), random.fork());
            clients.spawn(async move {
                while !workload.is_stopped() && session.left.fetch_sub(1, Ordering::SeqCst) > 0 {
                    workload.step(&session, &mut random).await;
                    let pause = random.u64(0..15);
                    sleep(Duration::from_millis(pause)).await;
                }
            });
        }
        clients.join_all().await;
    }

    async fn step(&self, session: &Session, random: &mut Rng) {
        let kind = match random.u8(0..100) {
            0..48 => Kind::Read,
            48..80 => Kind::Add,
            80..94 => Kind::Note,
            94..98 => Kind::Rotate,
            _ => Kind::Destroy,
        };
        let delay = if random.bool() { 0 } else { random.u64(0..30) };
        let node = random.usize(0..self.cluster.nodes.len());
        // Some clients disconnect early.
        let timeout = match random.u8(0..20) {
            0 => Duration::from_millis(random.u64(1..60)),
            _ => TIMEOUT,
        };
        let op = self.operate(session, node, kind, delay, timeout).await;
        if kind == Kind::Destroy && !matches!(op.outcome, Outcome::Refused(_)) {
            // A few more operations, to check that it stays destroyed.
            session.left.fetch_min(20, Ordering::SeqCst);
        }
    }

    /// Performs one operation on a session, and records it.
    async fn operate(&self, session: &Session, node: usize, kind: Kind, delay: u64, timeout: Duration) -> Op {
        let (generation, cookie) = session.cookie.lock().unwrap().clone();
        let number = self.number();
        let call = Call {
            kind,
            number: number.into(),
            delay,
            cookie: Some(&cookie),
            timeout,
        };
        let (mut op, new_cookie) = self.execute(node, &call, generation).await;
        op.number = number;
        if let Some(new_cookie) = new_cookie {
            let mut newest = session.cookie.lock().unwrap();
            if generation + 1 > newest.0 {
                *newest = (generation + 1, new_cookie);
            }
        }
        session.ops.lock().unwrap().push(op.clone());
        op
    }

    fn number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::SeqCst) + 1
    }

    async fn execute(&self, node: usize, call: &Call<'_>, cookie: u32) -> (Op, Option<String>) {
        let start = self.started.elapsed();
        let (outcome, new_cookie) = send(self.cluster.address(node), call).await;
        let op = Op {
            kind: call.kind,
            number: 0,
            node,
            cookie,
            start,
            end: self.started.elapsed(),
            outcome,
        };
        (op, new_cookie)
    }

    /// Reads every session from every node: with every fault healed, all must answer, and agree.
    pub(super) async fn read_all(&self, sessions: &[Arc<Session>]) {
        let mut readers = JoinSet::new();
        for session in sessions {
            let (workload, session) = (self.clone(), Arc::clone(session));
            readers.spawn(async move { workload.read_one(&session).await });
        }
        readers.join_all().await;
    }

    async fn read_one(&self, session: &Session) {
        let deadline = Instant::now() + RECOVERY;
        let mut first = None;
        for node in 0..self.cluster.nodes.len() {
            let mut op = loop {
                let op = self.operate(session, node, Kind::Read, 0, TIMEOUT).await;
                match op.outcome {
                    Outcome::Answered(..) => break op,
                    _ if Instant::now() < deadline => sleep(Duration::from_millis(50)).await,
                    _ => {
                        let wrong = Outcome::Unexpected("no response after every fault was healed".to_owned());
                        session.ops.lock().unwrap().push(Op { outcome: wrong, ..op });
                        return;
                    }
                }
            };
            let first = first.get_or_insert_with(|| op.outcome.clone());
            if *first != op.outcome {
                op.outcome = Outcome::Unexpected(format!(
                    "the nodes disagree after the round: {first:?}, {:?}",
                    op.outcome
                ));
                session.ops.lock().unwrap().push(op);
            }
        }
    }
}
