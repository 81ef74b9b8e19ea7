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
const CLIENTS: i32 = 4;
/// The clients of the one hot session of a round, most of them writers.
const HOT_CLIENTS: i32 = 200;
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
    clients: i32,
    /// The cookies that the client got, the newest last.
    cookies: Mutex<Vec<Cookie>>,
    ops: Mutex<Vec<Op>>,
    /// How many operations are left to do.
    left: AtomicI32,
}

/// A cookie of a session.
#[derive(Clone)]
struct Cookie {
    value: String,
    /// How many rotations and sign-ins gave it.
    generation: u32,
    /// The number of the operation that gave it.
    issuer: u32,
}

impl Session {
    pub(super) fn history(&self) -> History {
        History {
            id: self.id,
            ops: self.ops.lock().unwrap().clone(),
        }
    }

    fn newest_cookie(&self) -> Cookie {
        self.cookies.lock().unwrap().last().expect("there is one").clone()
    }

    /// Keeps a cookie as the newest one. After a sign-in the cookie of a rotation beside it is void.
    fn keep(&self, cookie: Cookie, kind: Kind) {
        let mut cookies = self.cookies.lock().unwrap();
        let newest = cookies.last().map_or(0, |newest| newest.generation);
        if cookie.generation > newest || (cookie.generation == newest && kind == Kind::SignIn) {
            cookies.push(cookie);
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
                    let is_hot = group == 0 && count == 0;
                    match workload.create(id, is_hot, &mut random).await {
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

    async fn create(&self, id: u64, is_hot: bool, random: &mut Rng) -> Option<Session> {
        let node = random.usize(0..self.cluster.nodes.len());
        let call = Call {
            kind: Kind::Create,
            number: id,
            delay: 0,
            cookie: None,
            timeout: TIMEOUT,
        };
        let (op, cookie) = self.execute(node, &call).await;
        let cookie = Cookie {
            value: cookie?,
            generation: 0,
            issuer: op.number,
        };
        let (clients, left) = if is_hot {
            (HOT_CLIENTS, 3 * HOT_CLIENTS)
        } else {
            (CLIENTS, random.i32(20..200))
        };
        Some(Session {
            id,
            clients,
            cookies: Mutex::new(vec![cookie]),
            ops: Mutex::new(vec![op]),
            left: AtomicI32::new(left),
        })
    }

    async fn run_clients(&self, session: &Arc<Session>, random: &mut Rng) {
        let mut clients = JoinSet::new();
        for _ in 0..session.clients {
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
        let kind = match random.u8(if session.clients == HOT_CLIENTS { 20..84 } else { 0..100 }) {
            0..42 => Kind::Read,
            42..62 => Kind::Add,
            62..68 => Kind::Commit,
            68..74 => Kind::Detach,
            74..86 => Kind::Note,
            86..91 => Kind::Rotate,
            91..98 => Kind::SignIn,
            _ => Kind::Destroy,
        };
        let delay = if random.bool() { 0 } else { random.u64(0..30) };
        let node = random.usize(0..self.cluster.nodes.len());
        // Some clients disconnect early.
        let timeout = match random.u8(0..20) {
            0 => Duration::from_millis(random.u64(1..60)),
            _ => TIMEOUT,
        };
        let cookie = {
            let cookies = session.cookies.lock().unwrap();
            // Some present a cookie that they had before.
            let place = match random.u8(0..12) {
                0 => random.usize(0..cookies.len()),
                _ => cookies.len() - 1,
            };
            cookies[place].clone()
        };
        let op = self.operate(session, cookie, node, kind, delay, timeout).await;
        // Nobody may have the new secret of a sign-in.
        let is_destroyed = kind == Kind::Destroy && !matches!(op.outcome, Outcome::Refused(_));
        if is_destroyed || (kind == Kind::SignIn && matches!(op.outcome, Outcome::Unknown(_))) {
            // A few more operations, to check that it stays so.
            session.left.fetch_min(20, Ordering::SeqCst);
        }
    }

    /// Performs one operation on a session, and records it.
    async fn operate(
        &self,
        session: &Session,
        cookie: Cookie,
        node: usize,
        kind: Kind,
        delay: u64,
        timeout: Duration,
    ) -> Op {
        let number = self.number();
        let call = Call {
            kind,
            number: number.into(),
            delay,
            cookie: Some(&cookie.value),
            timeout,
        };
        let (op, new_value) = self.execute(node, &call).await;
        let op = Op {
            number,
            cookie: cookie.generation,
            issuer: cookie.issuer,
            ..op
        };
        if let (Some(value), Outcome::Answered(..)) = (new_value, &op.outcome) {
            let generation = cookie.generation + 1;
            let issuer = number;
            session.keep(
                Cookie {
                    value,
                    generation,
                    issuer,
                },
                kind,
            );
        }
        session.ops.lock().unwrap().push(op.clone());
        op
    }

    fn number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::SeqCst) + 1
    }

    async fn execute(&self, node: usize, call: &Call<'_>) -> (Op, Option<String>) {
        let start = self.started.elapsed();
        let (outcome, new_cookie) = send(self.cluster.address(node), call).await;
        let op = Op {
            kind: call.kind,
            number: 0,
            node,
            cookie: 0,
            issuer: 0,
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
        let cookie = session.newest_cookie();
        let mut first = None;
        for node in 0..self.cluster.nodes.len() {
            let mut op = loop {
                let op = self
                    .operate(session, cookie.clone(), node, Kind::Read, 0, TIMEOUT)
                    .await;
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
            let Outcome::Answered(view, _) = &op.outcome else {
                return;
            };
            let first = first.get_or_insert_with(|| view.clone());
            if first != view {
                op.outcome = Outcome::Unexpected(format!("the nodes disagree after the round: {first:?}, {view:?}"));
                session.ops.lock().unwrap().push(op);
            }
        }
    }
}
