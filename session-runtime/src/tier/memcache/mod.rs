//! The memcached tier: any number of servers, each key on one of them.
//!
//! A server that is down makes only its own keys unavailable. Their load is not moved to another server: two servers for
//! one key would be two caches that do not see each other's writes. For the same reason every process must use the same
//! servers, in any order.

mod check;
mod command;
mod config;
mod connection;
mod exchange;
mod life;
mod ping;
mod pipeline;
#[cfg(test)]
mod pipeline_tests;
mod placement;
mod reply;
mod server;
mod stream;

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use self::command::{Command, EXPIRED, Reply, exptime};
use self::config::{Address, ConfigErrorKind, Environment};
use self::placement::{Named, server_of};
use self::reply::ProtocolError;
use self::server::Server;
use super::{CacheTier, Cached, Scope, Swap, TierError, TierErrorKind, Token};

pub use self::config::ConfigError;

/// memcached's default limit for an item (`-I`), 1 MiB. Key and header count towards it, so the largest value that a
/// server with this limit stores is a little smaller.
const DEFAULT_MAX_VALUE_LEN: usize = 1 << 20;
/// Many times what a healthy memcached takes, and short for a user who waits.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(250);
/// Less than [`DEFAULT_TIMEOUT`], so that a lost SYN is told from a slow reply.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_millis(150);
/// One suffices while no operation holds up the others.
const DEFAULT_POOL_SIZE: usize = 2;
/// The longest timeout that can be set, so that every call ends within a bounded time.
const MAX_TIMEOUT: Duration = Duration::from_mins(1);
/// How often a command is handed to a connection that turns out to be closed, as all are by a restart.
const MAX_UNSENT: u32 = 3;
/// memcached's limit, in bytes (`KEY_MAX_LENGTH` in its memcached.h).
const MAX_KEY_LEN: usize = 250;

/// A [`CacheTier`] on memcached servers.
///
/// A connection or two to each server carry all operations: commands are sent without waiting for the replies to those
/// before. They are opened when they are needed, and probed while they are idle (TCP keepalive). Over each, the server is
/// once asked for a random value under the key `session-life`, by which a restarted server is told from the one before, for
/// one round trip with the connection's first hit. Times to live are whole seconds, rounded up, of at most 30 days.
///
/// After three operations in a row without an answer from a server, [`get`](CacheTier::get)s of its keys fail at once,
/// except for one a second, until the server answers again. Writes are always tried.
///
/// ```
/// # fn main() -> Result<(), session_runtime::tier::memcache::ConfigError> {
/// use std::time::Duration;
///
/// use session_runtime::tier::memcache::Memcache;
///
/// let cache = Memcache::connect(["10.0.0.1:11211", "10.0.0.2:11211"])?.with_timeout(Duration::from_millis(100));
/// # Ok(())
/// # }
/// ```
pub struct Memcache {
    servers: Vec<Named<Server>>,
    timeout: Duration,
    connect_timeout: Duration,
    max_value_len: usize,
}

impl Memcache {
    /// A tier on `servers`, each a `host:port`, `[ipv6]:port` or `unix:/path`; without a port, 11211.
    ///
    /// Checks the addresses and connects to none yet. A server named twice counts once, and the order does not matter.
    /// Where a key lives depends on how its server is named: all processes must use the same names. While they do not, as
    /// when another list is deployed, what one changes or destroys another may serve for
    /// [`max_staleness`](crate::Builder::max_staleness) at most. A name must lead to one memcached: one with several
    /// addresses, or a load balancer before several, is refused when a store is built.
    ///
    /// # Errors
    /// No server, or one that cannot be parsed.
    pub fn connect<I>(servers: I) -> Result<Self, ConfigError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut named: Vec<Named<Server>> = Vec::new();
        for server in servers {
            let address = Address::parse(server.as_ref())?;
            let name = address.to_string();
            if named.iter().any(|other| other.name == name) {
                continue;
            }
            let server = Server::new(address, DEFAULT_POOL_SIZE);
            named.push(Named { name, server });
        }
        if named.is_empty() {
            return Err(ConfigErrorKind::NoServers.into());
        }
        Ok(Self {
            servers: named,
            timeout: DEFAULT_TIMEOUT,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            max_value_len: DEFAULT_MAX_VALUE_LEN,
        })
    }

    /// A tier on the servers in `MEMCACHE_SERVERS` (separated by commas), for values of at most
    /// `MaxMemcacheSessionSizeBytes` (1 MiB where that is not set).
    ///
    /// # Errors
    /// As for [`connect`](Self::connect), and a variable that is missing or malformed.
    pub fn from_env() -> Result<Self, ConfigError> {
        let environment = Environment::read(std::env::var_os)?;
        let tier = Self::connect(environment.servers)?;
        Ok(match environment.max_value_len {
            Some(max_value_len) => tier.with_max_value_len(max_value_len),
            None => tier,
        })
    }

    /// Limits the time of every operation, including the wait for a connection. Default: 250 ms; at most a minute.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(MAX_TIMEOUT);
        self
    }

    /// Limits the time to open a connection, within that of the operation. Default: 150 ms; at most a minute.
    #[must_use]
    pub fn with_connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout.min(MAX_TIMEOUT);
        self
    }

    /// Limits the connections to each server, which all operations share. Default: 2; at least 1.
    #[must_use]
    pub fn with_pool_size(mut self, pool_size: usize) -> Self {
        let resized = |Named { name, server }| Named {
            name,
            server: Server::with_connections(server, pool_size),
        };
        self.servers = self.servers.into_iter().map(resized).collect();
        self
    }

    /// Limits the size of a value, in bytes. Default: 1 MiB, memcached's own; servers started with a larger `-I` accept
    /// larger ones.
    #[must_use]
    pub fn with_max_value_len(mut self, max_value_len: usize) -> Self {
        self.max_value_len = max_value_len;
        self
    }

    /// The canonical name of the server that `key` lives on.
    pub fn server_of(&self, key: &str) -> Option<&str> {
        server_of(&self.servers, key).map(|named| named.name.as_str())
    }

    /// Executes `command` on the key's server, unless the breaker rejects it.
    async fn execute(&self, key: &str, command: Command<'_>) -> Result<Reply, TierError> {
        let failure = |kind| TierError::new(self.name(), command.name(), kind);
        if key.is_empty() || key.len() > MAX_KEY_LEN || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(failure(TierErrorKind::Refused).with_source("the key is not 1 to 250 bytes of printable ASCII"));
        }
        let (size, limit) = (command.value_len(), self.max_value_len);
        if size > limit {
            return Err(failure(TierErrorKind::TooLarge { size, limit }));
        }
        let Some(Named { name, server }) = server_of(&self.servers, key) else {
            return Err(failure(TierErrorKind::Unavailable));
        };
        let started_at = Instant::now();
        if !command.is_write() && !server.breaker.allow_read(started_at) {
            return Err(failure(TierErrorKind::Unavailable)
                .with_source("the server has not answered lately: reads are not sent to it for now"));
        }
        let outcome = self.execute_on(server, key, command, started_at + self.timeout).await;
        if has_replied(&outcome) {
            if server.breaker.record_answer(Instant::now()) {
                tracing::info!(server = name, "memcached answers again");
            }
        } else if server.breaker.record_failure(started_at, Instant::now()) {
            tracing::warn!(
                server = name,
                "memcached does not answer: most reads are not sent to it until it does"
            );
        }
        outcome
    }

    /// Executes `command` once, or twice if it is a read and the first connection broke. What was not sent at all, since
    /// the connection turned out to be closed, does not count.
    async fn execute_on(
        &self,
        server: &Server,
        key: &str,
        command: Command<'_>,
        deadline: Instant,
    ) -> Result<Reply, TierError> {
        let failure = |kind| TierError::new(self.name(), command.name(), kind);
        let (size, limit) = (command.value_len(), self.max_value_len);
        // Another process with a larger limit may have stored a larger value.
        let max_len = self.max_value_len.max(DEFAULT_MAX_VALUE_LEN);
        let mut may_retry = !command.is_write();
        let mut unsent = 0;
        loop {
            let connection = timeout_at(deadline, server.connection(self.connect_timeout)).await;
            let connection = connection
                .map_err(|elapsed| failure(TierErrorKind::Unavailable).with_source(elapsed))?
                .map_err(|error| failure(TierErrorKind::Unavailable).with_source(error))?;
            // `timeout_at` polls once even after the deadline, and would send a command whose reply nobody waits for.
            if deadline <= Instant::now() {
                return Err(failure(TierErrorKind::Unavailable).with_source(io::Error::from(io::ErrorKind::TimedOut)));
            }
            let mut has_sent = false;
            let exchange = connection.exchange(command, key, max_len, deadline, &mut has_sent);
            let exchange = timeout_at(deadline, exchange).await;
            let kind = if command.is_write() && has_sent {
                TierErrorKind::Unknown
            } else {
                TierErrorKind::Unavailable
            };
            match exchange {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(_)) if !has_sent && unsent < MAX_UNSENT => unsent += 1,
                Ok(Err(_)) if has_sent && may_retry => may_retry = false,
                Ok(Err(error)) => return Err(failure(refine_kind(kind, &error, size, limit)).with_source(error)),
                Err(elapsed) => {
                    // Whoever comes next does not wait behind this one.
                    connection.queue.close();
                    return Err(failure(kind).with_source(elapsed));
                }
            }
        }
    }

    async fn cas(&self, key: &str, token: Token, value: &[u8], exptime: u32) -> Result<Swap, TierError> {
        let Token(token) = token;
        let command = Command::Cas { value, exptime, token };
        Ok(match self.execute(key, command).await? {
            Reply::Done => Swap::Done,
            Reply::Missing => Swap::Missing,
            Reply::Value(..) | Reply::Changed => Swap::Changed,
        })
    }
}

/// The kind of a failed exchange: `kind`, unless memcached answered that the value is too large, which means that
/// nothing was stored. memcached does not tell its limit; it is less than `size`.
fn refine_kind(kind: TierErrorKind, error: &io::Error, size: usize, limit: usize) -> TierErrorKind {
    if size > 0 && ProtocolError::from_io(error).is_some_and(ProtocolError::is_object_too_large) {
        let limit = limit.min(size - 1);
        TierErrorKind::TooLarge { size, limit }
    } else {
        kind
    }
}

/// Whether the server replied at all. An error or a malformed reply counts: nobody had to wait for a timeout.
fn has_replied(outcome: &Result<Reply, TierError>) -> bool {
    let Err(error) = outcome else { return true };
    let cause = error.source().and_then(|source| source.downcast_ref());
    cause.and_then(ProtocolError::from_io).is_some()
}

impl CacheTier for Memcache {
    fn name(&self) -> &'static str {
        "memcache"
    }

    fn product(&self) -> &'static str {
        "memcached"
    }

    fn scope(&self) -> Scope {
        Scope::Shared
    }

    fn max_value_len(&self) -> usize {
        self.max_value_len
    }

    /// Refuses a name that leads to several memcacheds.
    async fn check(&self) -> Result<(), TierError> {
        for Named { name, server } in &self.servers {
            let deadline = Instant::now() + self.timeout;
            let checked = timeout_at(deadline, check::is_one_server(server, self.connect_timeout, deadline)).await;
            match checked.unwrap_or_else(|elapsed| Err(io::Error::new(io::ErrorKind::TimedOut, elapsed))) {
                Ok(true) => {}
                Ok(false) => {
                    let text = format!(
                        "{name} leads to several memcacheds, so that a writer and a reader of one session would use \
                         different ones: list each of them by an address of its own"
                    );
                    return Err(TierError::new(self.name(), "check", TierErrorKind::Refused).with_source(text));
                }
                Err(error) => tracing::warn!(
                    server = name,
                    error = &error as &dyn Error,
                    "memcached does not answer: whether its name leads to one server was not checked"
                ),
            }
        }
        Ok(())
    }

    /// Asks each server: one answers for its own keys alone.
    async fn ping(&self) -> Result<Vec<String>, TierError> {
        self.ping_servers().await
    }

    async fn get(&self, key: &str) -> Result<Option<Cached>, TierError> {
        Ok(match self.execute(key, Command::Get).await? {
            Reply::Value(value, token) => Some(Cached {
                value: value.into(),
                token: Token(token),
            }),
            Reply::Missing | Reply::Done | Reply::Changed => None,
        })
    }

    async fn add(&self, key: &str, value: Bytes, ttl: Duration) -> Result<bool, TierError> {
        let exptime = exptime(ttl);
        let command = Command::Add { value: &value, exptime };
        Ok(matches!(self.execute(key, command).await?, Reply::Done))
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), TierError> {
        let exptime = exptime(ttl);
        let command = Command::Set { value: &value, exptime };
        self.execute(key, command).await.map(|_| ())
    }

    async fn swap(&self, key: &str, token: Token, value: Bytes, ttl: Duration) -> Result<Swap, TierError> {
        self.cas(key, token, &value, exptime(ttl)).await
    }

    /// Replaces the value by an empty one that has already expired: `memcache-async` has no conditional delete.
    async fn remove(&self, key: &str, token: Token) -> Result<Swap, TierError> {
        self.cas(key, token, b"", EXPIRED).await
    }
}

impl fmt::Debug for Memcache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<_> = self.servers.iter().map(|named| named.name.as_str()).collect();
        f.debug_struct("Memcache")
            .field("servers", &servers)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("max_value_len", &self.max_value_len)
            .finish()
    }
}
