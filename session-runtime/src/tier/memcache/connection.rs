//! One server's connections: opened when needed, kept while in step, closed the moment that they may not be.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, Timeouts};
use memcache_async::ascii::Protocol;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;

use super::breaker::Breaker;
use super::command::{Answer, Command};
use super::config::Address;
use super::stream::{Guard, Stream};

/// An idle connection older than this is not used again: routers forget a silent one after about 350 s (the shortest
/// among the large clouds), and swallow what is sent on it.
const MAX_IDLE: Duration = Duration::from_mins(4);

/// A server and the connections to it.
pub(super) struct Server {
    pub(super) breaker: Breaker,
    pool: Pool<Opener>,
}

impl Server {
    /// Connects to nothing yet.
    pub(super) fn new(address: Address, pool_size: usize) -> io::Result<Self> {
        let opener = Opener {
            address,
            lookups: Arc::new(Semaphore::new(1)),
            incarnation: Mutex::default(),
        };
        let pool = Pool::builder(opener)
            .max_size(pool_size)
            .runtime(deadpool::Runtime::Tokio1);
        // The last one used goes first, so that a pool that grew for a peak falls idle again, and is closed.
        let pool = pool.queue_mode(deadpool::managed::QueueMode::Lifo).build();
        let pool = pool.map_err(io::Error::other)?;
        let breaker = Breaker::default();
        Ok(Self { breaker, pool })
    }

    /// The same server, with a new pool: deadpool's `resize` leaves an unused one as large as it was.
    pub(super) fn with_pool_size(self, pool_size: usize) -> Self {
        // The only error is a pool without a runtime, which `new` would have met.
        Self::new(self.pool.manager().address.clone(), pool_size).unwrap_or(self)
    }

    /// A connection in step, waiting for one where all are in use. The caller bounds the wait.
    pub(super) async fn connection(&self, connect_timeout: Duration) -> Result<Object<Opener>, PoolError<io::Error>> {
        let timeouts = Timeouts {
            create: Some(connect_timeout),
            ..Timeouts::new()
        };
        self.pool.timeout_get(&timeouts).await
    }

    /// Closes the connections that are not in use, so that the next one is fresh.
    pub(super) fn close_idle(&self) {
        drop(self.pool.retain(|_, _| false));
    }
}

/// A connection, or what is left of one.
pub(super) struct Connection {
    /// Taken out before the first byte of a command is sent and put back after the last byte of its reply was read. So
    /// a request that is cancelled or times out in between closes the socket, and no other can see its reply.
    stream: Option<Arc<Stream>>,
    salt: u64,
    has_sent: bool,
}

impl Connection {
    /// Sends `command` and reads the whole reply.
    pub(super) async fn exchange(&mut self, command: Command<'_>, key: &str, max_len: usize) -> io::Result<Answer> {
        self.has_sent = false;
        let stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        let mut guard = Guard::new(&stream, command.expected(key, max_len), &mut self.has_sent);
        let answer = command.perform(&mut Protocol::new(&mut guard), key, self.salt).await?;
        guard.finish()?;
        self.stream = Some(stream);
        Ok(answer)
    }

    /// Whether any byte of the last command may have left.
    pub(super) fn has_sent(&self) -> bool {
        self.has_sent
    }
}

/// Opens the connections to one server.
pub(super) struct Opener {
    address: Address,
    lookups: Arc<Semaphore>,
    incarnation: Mutex<Incarnation>,
}

impl Opener {
    async fn open(&self) -> io::Result<Stream> {
        let stream = match &self.address {
            Address::Ip(address) => TcpStream::connect(address).await?,
            Address::Name(name, port) => {
                let addresses = self.look_up(name.clone(), *port).await?;
                TcpStream::connect(addresses.as_slice()).await?
            }
            #[cfg(unix)]
            Address::Unix(path) => return Ok(Stream::Unix(tokio::net::UnixStream::connect(path).await?)),
        };
        stream.set_nodelay(true)?;
        Ok(Stream::Tcp(stream))
    }

    /// A lookup blocks a thread until the resolver gives up, however short the caller's patience, so there is at most
    /// one a server.
    async fn look_up(&self, name: String, port: u16) -> io::Result<Vec<std::net::SocketAddr>> {
        let permit = Arc::clone(&self.lookups).acquire_owned().await;
        let permit = permit.map_err(io::Error::other)?;
        let lookup = tokio::spawn(async move {
            let addresses = lookup_host((name, port)).await.map(Iterator::collect);
            drop(permit);
            addresses
        });
        lookup.await?
    }

    fn incarnation(&self) -> std::sync::MutexGuard<'_, Incarnation> {
        self.incarnation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Manager for Opener {
    type Type = Connection;
    type Error = io::Error;

    async fn create(&self) -> io::Result<Connection> {
        let stream = Arc::new(self.open().await?);
        let salt = self.incarnation().join(&stream);
        Ok(Connection {
            stream: Some(stream),
            salt,
            has_sent: false,
        })
    }

    async fn recycle(&self, connection: &mut Connection, metrics: &Metrics) -> RecycleResult<io::Error> {
        let is_current = connection.salt == self.incarnation().salt;
        let is_quiet = connection.stream.as_ref().is_some_and(|stream| stream.is_quiet());
        if is_current && is_quiet && metrics.last_used() < MAX_IDLE {
            Ok(())
        } else {
            Err(RecycleError::message("out of step, closed or too old"))
        }
    }
}

/// One life of the server, from its start to its end.
///
/// A memcached that restarts counts its cas uniques from 1 again, so that one read before would, sooner or later, name
/// another value after. A token is therefore the cas unique, XOR-ed with a random salt that belongs to one life: what
/// an older token turns into is the cas unique of nothing, and memcached itself answers that the value has changed.
#[derive(Default)]
struct Incarnation {
    salt: u64,
    streams: Vec<Weak<Stream>>,
}

impl Incarnation {
    /// The salt for a connection that was just opened. The server is taken to be the same only if an earlier
    /// connection to it is still open: a server that dies closes all of them first.
    fn join(&mut self, stream: &Arc<Stream>) -> u64 {
        self.streams.retain(|stream| stream.strong_count() > 0);
        let is_same = self
            .streams
            .iter()
            .filter_map(Weak::upgrade)
            .any(|stream| stream.is_quiet());
        if !is_same {
            self.salt = fastrand::u64(1..);
            self.streams.clear();
        }
        self.streams.push(Arc::downgrade(stream));
        self.salt
    }
}
