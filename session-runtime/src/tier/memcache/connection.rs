//! The connections to one server: opened when needed, reused while in sync, closed as soon as they may not be.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, Timeouts};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;

use super::breaker::Breaker;
use super::command::{Command, Reply};
use super::config::Address;
use super::life::{Salts, life_of_server};
use super::stream::Stream;

/// A connection that was idle for longer is not used again: routers forget an idle connection, AWS's NAT gateway after
/// 350 s, and then silently discard what is sent on it.
const MAX_IDLE: Duration = Duration::from_mins(4);

/// When an idle connection is probed, so that routers do not forget it, and that one whose peer has vanished without closing
/// it is closed within a minute: after 15 s, and Linux's nine probes.
fn keepalive() -> TcpKeepalive {
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(15));
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "windows"))]
    let keepalive = keepalive.with_interval(Duration::from_secs(5));
    keepalive
}

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
            salts: Arc::default(),
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
    /// `None` after an exchange that did not end.
    stream: Option<Stream>,
    /// What its tokens are salted with; `None` until it gives or takes one.
    salt: Option<u64>,
    salts: Arc<Salts>,
    has_sent: bool,
}

impl Connection {
    /// Sends `command` and reads the whole reply.
    pub(super) async fn exchange(&mut self, command: Command<'_>, key: &str, max_len: usize) -> io::Result<Reply> {
        self.has_sent = false;
        let command = match command {
            Command::Cas { value, exptime, token } => {
                let cas = token ^ self.salt().await?;
                Command::Cas {
                    value,
                    exptime,
                    token: cas,
                }
            }
            other => other,
        };
        let reply = command.exchange(&mut self.stream, &mut self.has_sent, key, max_len);
        match reply.await? {
            Reply::Value(value, cas) => Ok(Reply::Value(value, cas ^ self.salt().await?)),
            reply => Ok(reply),
        }
    }

    /// Asks which life of which server it leads to.
    pub(super) async fn life(&mut self) -> io::Result<Vec<u8>> {
        life_of_server(&mut self.stream).await
    }

    async fn salt(&mut self) -> io::Result<u64> {
        if let Some(salt) = self.salt {
            return Ok(salt);
        }
        let life = self.life().await?;
        let salt = self.salts.of_life(&life);
        self.salt = Some(salt);
        Ok(salt)
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
    salts: Arc<Salts>,
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
        SockRef::from(&stream).set_tcp_keepalive(&keepalive())?;
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
}

impl Manager for Connector {
    type Type = Connection;
    type Error = io::Error;

    async fn create(&self) -> io::Result<Connection> {
        Ok(Connection {
            stream: Some(self.connect().await?),
            salt: None,
            salts: Arc::clone(&self.salts),
            has_sent: false,
        })
    }

    async fn recycle(&self, connection: &mut Connection, metrics: &Metrics) -> RecycleResult<io::Error> {
        let is_current = connection.salt.is_none_or(|salt| self.salts.is_latest(salt));
        let is_idle = connection.stream.as_ref().is_some_and(Stream::is_idle);
        if is_current && is_idle && metrics.last_used() < MAX_IDLE {
            Ok(())
        } else {
            Err(RecycleError::message("out of sync, closed or too old"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_idle_connection_is_probed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Ip(listener.local_addr().unwrap());
        let server = Server::new(address, 1).unwrap();
        let Stream::Tcp(stream) = server.pool.manager().connect().await.unwrap() else {
            panic!("not a TCP connection")
        };
        assert!(SockRef::from(&stream).keepalive().unwrap());
    }
}
