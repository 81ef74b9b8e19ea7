//! The connections to one server: opened when needed, reused while in sync, closed as soon as they may not be.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, Timeouts};
use memcache_async::ascii::Protocol;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;

use super::breaker::Breaker;
use super::command::{Command, Reply};
use super::config::Address;
use super::stream::{CheckedStream, Stream};

/// A connection that was idle for longer is not used again: routers forget an idle connection, AWS's NAT gateway after
/// 350 s, and then silently discard what is sent on it.
const MAX_IDLE: Duration = Duration::from_mins(4);

/// No connection to a server could be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to the memcached server {server}: check that it runs and can be reached from here")]
pub(super) struct ConnectError {
    server: Address,
    source: io::Error,
}

/// A server and the connections to it.
pub(super) struct Server {
    pub(super) breaker: Breaker,
    pool: Pool<Connector>,
}

impl Server {
    /// Connects to nothing yet.
    pub(super) fn new(address: Address, pool_size: usize) -> io::Result<Self> {
        let connector = Connector {
            address,
            lookup_permits: Arc::new(Semaphore::new(1)),
            epoch: Mutex::default(),
        };
        let pool = Pool::builder(connector)
            .max_size(pool_size)
            .runtime(deadpool::Runtime::Tokio1);
        // The connection used last is taken first, so that those opened for a peak stay idle until they are too old.
        let pool = pool.queue_mode(deadpool::managed::QueueMode::Lifo).build();
        let pool = pool.map_err(io::Error::other)?;
        let breaker = Breaker::default();
        Ok(Self { breaker, pool })
    }

    /// The same server with a new pool, since deadpool's `resize` does not change a pool that was not used yet.
    pub(super) fn with_pool_size(self, pool_size: usize) -> Self {
        // The only error is a pool without a runtime, and `new` sets one.
        Self::new(self.pool.manager().address.clone(), pool_size).unwrap_or(self)
    }

    /// The addresses that its name leads to.
    pub(super) async fn addresses(&self) -> io::Result<Vec<Address>> {
        let connector = self.pool.manager();
        match &connector.address {
            Address::Name(name, port) => {
                let addresses = connector.resolve(name.clone(), *port).await?;
                Ok(addresses.into_iter().map(Address::Ip).collect())
            }
            address => Ok(vec![address.clone()]),
        }
    }

    /// A connection that is in sync; waits for one while all are in use. The caller bounds the wait.
    pub(super) async fn connection(&self, connect_timeout: Duration) -> Result<Object<Connector>, ConnectError> {
        let timeouts = Timeouts {
            create: Some(connect_timeout),
            ..Timeouts::new()
        };
        self.pool.timeout_get(&timeouts).await.map_err(|error| ConnectError {
            server: self.pool.manager().address.clone(),
            // The pool's own error prints its source, so it is taken out.
            source: match error {
                PoolError::Backend(source) => source,
                other => io::Error::other(other),
            },
        })
    }

    /// Closes the connections that are not in use, so that the next one is new.
    pub(super) fn close_idle(&self) {
        drop(self.pool.retain(|_, _| false));
    }
}

/// A connection; unusable, and to be dropped, after an exchange that did not end.
pub(super) struct Connection {
    /// Taken out before the first byte of a command is sent, and put back after the last byte of its reply was read. So
    /// a request that is cancelled or times out in between closes the socket, and no other request can read its reply.
    stream: Option<Arc<Stream>>,
    salt: u64,
    has_sent: bool,
}

impl Connection {
    /// Sends `command` and reads the whole reply.
    pub(super) async fn exchange(&mut self, command: Command<'_>, key: &str, max_len: usize) -> io::Result<Reply> {
        self.has_sent = false;
        let stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        let mut checked = CheckedStream::new(&stream, command.expected(key, max_len), &mut self.has_sent);
        let reply = command.run(&mut Protocol::new(&mut checked), key, self.salt).await?;
        checked.finish()?;
        self.stream = Some(stream);
        Ok(reply)
    }

    /// Whether any byte of the last command may have been sent.
    pub(super) fn has_sent(&self) -> bool {
        self.has_sent
    }
}

/// Opens the connections to one server.
pub(super) struct Connector {
    address: Address,
    /// Limits the name lookups that run at the same time.
    lookup_permits: Arc<Semaphore>,
    epoch: Mutex<ServerEpoch>,
}

impl Connector {
    async fn connect(&self) -> io::Result<Stream> {
        let stream = match &self.address {
            Address::Ip(address) => TcpStream::connect(address).await?,
            Address::Name(name, port) => {
                let addresses = self.resolve(name.clone(), *port).await?;
                TcpStream::connect(addresses.as_slice()).await?
            }
            #[cfg(unix)]
            Address::Unix(path) => return Ok(Stream::Unix(tokio::net::UnixStream::connect(path).await?)),
        };
        stream.set_nodelay(true)?;
        Ok(Stream::Tcp(stream))
    }

    /// A lookup blocks a thread until the resolver's own timeout, even after the caller's has passed, so each server has
    /// at most one lookup at a time.
    async fn resolve(&self, name: String, port: u16) -> io::Result<Vec<std::net::SocketAddr>> {
        let permit = Arc::clone(&self.lookup_permits).acquire_owned().await;
        let permit = permit.map_err(io::Error::other)?;
        let lookup = tokio::spawn(async move {
            let addresses = lookup_host((name, port)).await.map(Iterator::collect);
            drop(permit);
            addresses
        });
        lookup.await?
    }

    fn epoch(&self) -> std::sync::MutexGuard<'_, ServerEpoch> {
        self.epoch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Manager for Connector {
    type Type = Connection;
    type Error = io::Error;

    async fn create(&self) -> io::Result<Connection> {
        let stream = Arc::new(self.connect().await?);
        let salt = self.epoch().register(&stream);
        Ok(Connection {
            stream: Some(stream),
            salt,
            has_sent: false,
        })
    }

    async fn recycle(&self, connection: &mut Connection, metrics: &Metrics) -> RecycleResult<io::Error> {
        let is_current = connection.salt == self.epoch().salt;
        let is_idle = connection.stream.as_ref().is_some_and(|stream| stream.is_idle());
        if is_current && is_idle && metrics.last_used() < MAX_IDLE {
            Ok(())
        } else {
            Err(RecycleError::message("out of sync, closed or too old"))
        }
    }
}

/// The time between a start of the server and its next restart.
///
/// A restarted memcached counts its cas uniques from 1 again, so one from before the restart would sooner or later name
/// another value. A token is therefore the cas unique XOR a random salt, a new one for each epoch: under the new salt,
/// an older token becomes a cas unique that no value has, and memcached answers that the value has changed.
#[derive(Default)]
struct ServerEpoch {
    salt: u64,
    streams: Vec<Weak<Stream>>,
}

impl ServerEpoch {
    /// Adds a connection that was just opened, and returns its salt. The epoch goes on only if an earlier connection is
    /// still open: all connections to a server are closed before it restarts.
    fn register(&mut self, stream: &Arc<Stream>) -> u64 {
        self.streams.retain(|stream| stream.strong_count() > 0);
        let is_same_epoch = self
            .streams
            .iter()
            .filter_map(Weak::upgrade)
            .any(|stream| stream.is_idle());
        if !is_same_epoch {
            self.salt = fastrand::u64(1..);
            self.streams.clear();
        }
        self.streams.push(Arc::downgrade(stream));
        self.salt
    }
}
