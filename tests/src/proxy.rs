//! A TCP proxy that injects faults of networks and servers: it refuses, cuts, freezes, delays, corrupts, fragments and
//! inserts.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What happens to the bytes of one direction of a connection.
///
/// Positions are counted separately on each connection, from the moment at which the fault was set, or from the start of
/// a connection that is opened later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    Pass,
    /// Passes this many bytes, then closes the connection on both sides.
    CutAfter(u64),
    /// Passes this many bytes, then holds back the rest until the next fault is set. The connection stays open.
    FreezeAfter(u64),
    /// XORs the byte at this position with a mask.
    Corrupt(u64, u8),
    /// Inserts bytes before the byte at this position; with position 0, on an open connection, at once.
    Inject(u64, Vec<u8>),
    /// Passes one byte at a time, each as a segment of its own.
    Drip,
    /// Delays each chunk that is read by this time; connections do not wait for each other.
    Delay(Duration),
}

/// What was passed on in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The bytes that were passed on, injected ones included.
    pub bytes: u64,
    /// The reads by which they arrived; a command of at most 64 KiB that was sent in one write is nearly always one read.
    pub reads: u64,
}

/// One direction of a [`Proxy`].
#[derive(Debug)]
pub struct Direction {
    /// The current fault.
    plan: watch::Sender<Plan>,
    bytes: AtomicU64,
    reads: AtomicU64,
    frozen: watch::Sender<u64>,
}

#[derive(Clone, Debug, Default)]
struct Plan {
    fault: Fault,
    /// Whether it applies to one connection only.
    is_once: bool,
    /// Grows with every change.
    generation: u64,
}

impl Direction {
    fn new() -> Self {
        Self {
            plan: watch::Sender::default(),
            bytes: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            frozen: watch::Sender::default(),
        }
    }

    /// Applies `fault` to every connection from now on.
    pub fn always(&self, fault: Fault) {
        self.change(fault, false);
    }

    /// Applies `fault` to the first connection that reaches its position, and to no other.
    pub fn once(&self, fault: Fault) {
        self.change(fault, true);
    }

    fn change(&self, fault: Fault, is_once: bool) {
        self.plan.send_modify(|plan| {
            let generation = plan.generation + 1;
            *plan = Plan {
                fault,
                is_once,
                generation,
            };
        });
    }

    /// What was passed on so far.
    pub fn counts(&self) -> Counts {
        Counts {
            bytes: self.bytes.load(Ordering::SeqCst),
            reads: self.reads.load(Ordering::SeqCst),
        }
    }

    /// How many connections have been frozen so far.
    pub fn frozen(&self) -> u64 {
        *self.frozen.borrow()
    }

    /// Waits until that many connections have been frozen.
    pub async fn wait_frozen(&self, count: u64) {
        let mut frozen = self.frozen.subscribe();
        // The sender lives in `self`.
        let _never_closed = frozen.wait_for(|frozen| *frozen >= count).await;
    }

    /// Claims the fault for a connection: the plan's generation from then on, or `None` if another connection has it.
    fn claim(&self, generation: u64) -> Option<u64> {
        let mut claimed = None;
        self.plan.send_if_modified(|plan| {
            if plan.generation != generation {
                return false;
            }
            if plan.is_once {
                plan.fault = Fault::Pass;
                plan.generation += 1;
            }
            claimed = Some(plan.generation);
            plan.is_once
        });
        claimed
    }

    async fn send(&self, to: &mut OwnedWriteHalf, bytes: &[u8]) -> io::Result<()> {
        to.write_all(bytes).await?;
        self.bytes.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        Ok(())
    }
}

#[derive(Debug)]
struct Shared {
    target: Mutex<SocketAddr>,
    to_server: Direction,
    to_client: Direction,
    connections: AtomicU64,
    open: Mutex<JoinSet<()>>,
}

/// A proxy in front of one server, on a port of its own.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            to_server: Direction::new(),
            to_client: Direction::new(),
            connections: AtomicU64::new(0),
            open: Mutex::default(),
        });
        let listening = Some(tokio::spawn(listen(listener, Arc::clone(&shared))));
        Self {
            address,
            shared,
            listening,
        }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The direction from clients to the server.
    pub fn to_server(&self) -> &Direction {
        &self.shared.to_server
    }

    /// The direction from the server to clients.
    pub fn to_client(&self) -> &Direction {
        &self.shared.to_client
    }

    /// How many connections have been made so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Leads new connections to another server; open ones go on.
    pub fn retarget(&self, target: SocketAddr) {
        *lock(&self.shared.target) = target;
    }

    /// Refuses new connections; open ones go on.
    pub async fn refuse(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            // The listener is closed once the task is gone.
            let _cancelled = listening.await;
        }
    }

    /// Lets new connections hang: neither accepted nor refused. Until the value that is returned is dropped.
    ///
    /// # Panics
    /// When another process has taken the port.
    pub async fn hang(&mut self) -> Hanging {
        self.refuse().await;
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("an option of sockets");
        socket.bind(self.address).expect("the port is still free");
        let listener = socket.listen(1).expect("a bound socket");
        // They fill the queue of those that wait to be accepted; the system answers to no further one.
        let mut waiting = Vec::new();
        while let Ok(Ok(stream)) =
            tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(self.address)).await
        {
            waiting.push(stream);
        }
        Hanging {
            _listener: listener,
            _waiting: waiting,
        }
    }

    /// Accepts connections again.
    ///
    /// # Panics
    /// When another process has taken the port.
    pub async fn accept(&mut self) {
        if self.listening.is_none() {
            let listener = TcpListener::bind(self.address).await.expect("the port is still free");
            self.listening = Some(tokio::spawn(listen(listener, Arc::clone(&self.shared))));
        }
    }

    /// Closes every open connection.
    pub async fn cut(&self) {
        let mut open = std::mem::take(&mut *lock(&self.shared.open));
        open.shutdown().await;
    }
}

/// See [`Proxy::hang`].
#[derive(Debug)]
pub struct Hanging {
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
        lock(&self.shared.open).abort_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let relay = relay(client, Arc::clone(&shared));
        let mut open = lock(&shared.open);
        while open.try_join_next().is_some() {}
        open.spawn(async move {
            // Connections are expected to break here.
            let _broken = relay.await;
        });
    }
}

async fn relay(client: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let target = *lock(&shared.target);
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Either end closes both: none of the servers here uses a connection that is half open.
    tokio::select! {
        end = pump(from_client, to_server, &shared.to_server) => end,
        end = pump(from_server, to_client, &shared.to_client) => end,
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, direction: &Direction) -> io::Result<()> {
    let mut plans = direction.plan.subscribe();
    let mut plan = plans.borrow_and_update().clone();
    let mut position = 0;
    let mut chunk = vec![0; 64 * 1024];
    loop {
        if let Fault::Inject(0, bytes) = &plan.fault
            && position == 0
            && direction.claim(plan.generation).is_some()
        {
            direction.send(&mut to, bytes).await?;
            position = 1;
        }
        let read = tokio::select! {
            biased;
            changed = plans.changed() => {
                changed.map_err(io::Error::other)?;
                plan = plans.borrow_and_update().clone();
                position = 0;
                continue;
            }
            read = from.read(&mut chunk) => read?,
        };
        let bytes = chunk.get_mut(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(());
        }
        direction.reads.fetch_add(1, Ordering::SeqCst);
        pass(bytes, &mut to, direction, &plan, position).await?;
        position += read as u64;
    }
}

/// Passes `bytes` on, the first of which is at `position`.
async fn pass(
    bytes: &mut [u8],
    to: &mut OwnedWriteHalf,
    direction: &Direction,
    plan: &Plan,
    position: u64,
) -> io::Result<()> {
    let here = |at: u64| at.checked_sub(position).and_then(|at| usize::try_from(at).ok());
    match &plan.fault {
        Fault::CutAfter(at) | Fault::FreezeAfter(at) if *at <= position + bytes.len() as u64 => {
            let at = here(*at).unwrap_or(0).min(bytes.len());
            let Some(generation) = direction.claim(plan.generation) else {
                return direction.send(to, bytes).await;
            };
            let (before, after) = bytes.split_at(at);
            direction.send(to, before).await?;
            if matches!(plan.fault, Fault::CutAfter(_)) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            direction.frozen.send_modify(|frozen| *frozen += 1);
            let thaw = |plan: &Plan| plan.generation > generation;
            let mut plans = direction.plan.subscribe();
            plans.wait_for(thaw).await.map(drop).map_err(io::Error::other)?;
            direction.send(to, after).await
        }
        Fault::Corrupt(at, mask) => {
            if let Some(byte) = here(*at).and_then(|at| bytes.get_mut(at))
                && direction.claim(plan.generation).is_some()
            {
                *byte ^= mask;
            }
            direction.send(to, bytes).await
        }
        Fault::Inject(at, more) => {
            let Some((before, after)) = here(*at).and_then(|at| bytes.split_at_checked(at)) else {
                return direction.send(to, bytes).await;
            };
            if after.is_empty() || direction.claim(plan.generation).is_none() {
                return direction.send(to, bytes).await;
            }
            // One write, so that the peer sees it as one reply.
            let all = [before, more, after].concat();
            direction.send(to, &all).await
        }
        Fault::Drip => {
            for byte in bytes.chunks(1) {
                direction.send(to, byte).await?;
                tokio::task::yield_now().await;
            }
            Ok(())
        }
        Fault::Delay(by) => {
            tokio::time::sleep(*by).await;
            direction.send(to, bytes).await
        }
        Fault::Pass | Fault::CutAfter(_) | Fault::FreezeAfter(_) => direction.send(to, bytes).await,
    }
}
