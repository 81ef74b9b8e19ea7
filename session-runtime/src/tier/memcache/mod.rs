//! The memcached tier: any number of servers, each key on one of them.
//!
//! A server that is down costs the keys that live on it and no others; there is no second place for a key, since two
//! places would be two caches that do not see each other's writes. For the same reason every process must name the
//! same servers, in whatever order.

mod breaker;
mod command;
mod config;
mod connection;
mod placement;
mod reply;
mod stream;

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use self::command::{Answer, Command, EXPIRED, exptime};
use self::config::{Address, Environment, Fault};
use self::connection::Server;
use self::placement::{Named, server_of};
use self::reply::Surprise;
use super::{CacheTier, Cached, Swap, TierError, TierErrorKind, Token};

pub use self::config::ConfigError;

/// memcached's limit for an item (`-I`, 1 MiB by default). Key and header count, so the longest value is a little less.
const DEFAULT_MAX_VALUE_LEN: usize = 1 << 20;
/// Many times what a healthy memcached takes, and little to a person who waits.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(250);
/// Less than the operation's, so that a server that does not answer a SYN is told from one that is slow.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_millis(150);
const DEFAULT_POOL_SIZE: usize = 32;
/// The longest timeout that can be asked for.
const MAX_TIMEOUT: Duration = Duration::from_mins(1);
/// memcached's limit (`KEY_MAX_LENGTH`).
const MAX_KEY_LEN: usize = 250;

/// A [`CacheTier`] on memcached servers.
///
/// Connections are opened when they are needed. Times to live are whole seconds, rounded up, of at most 30 days.
///
/// A server that leaves three operations in a row without an answer is not asked by [`get`](CacheTier::get) for a while:
/// all but one of them a second fail at once, until it answers anything. Whatever writes is always tried.
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
    /// Where a key lives depends on how its server is named: all processes must use the same names.
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
            let server = Server::new(address, DEFAULT_POOL_SIZE).map_err(Fault::Pool)?;
            named.push(Named { name, server });
        }
        if named.is_empty() {
            return Err(Fault::NoServers.into());
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

    /// Bounds every operation, the wait for a connection included: 250 ms unless told, a minute at most.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(MAX_TIMEOUT);
        self
    }

    /// Bounds the opening of a connection, within the operation that needs it: 150 ms unless told.
    #[must_use]
    pub fn with_connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout.min(MAX_TIMEOUT);
        self
    }

    /// Bounds the connections to each server: 32 unless told, 1 at least. An operation that finds all in use waits.
    #[must_use]
    pub fn with_pool_size(mut self, pool_size: usize) -> Self {
        let resized = |Named { name, server }| Named {
            name,
            server: Server::with_pool_size(server, pool_size.max(1)),
        };
        self.servers = self.servers.into_iter().map(resized).collect();
        self
    }

    /// Bounds the values that are stored, in bytes: 1 MiB unless told. Servers that were started with a larger `-I`
    /// take more.
    #[must_use]
    pub fn with_max_value_len(mut self, max_value_len: usize) -> Self {
        self.max_value_len = max_value_len;
        self
    }

    /// The canonical name of the server that `key` lives on.
    pub fn server_of(&self, key: &str) -> Option<&str> {
        server_of(&self.servers, key).map(|named| named.name.as_str())
    }

    /// Asks the key's server, unless it is a read and the server has not answered lately.
    async fn ask(&self, key: &str, command: Command<'_>) -> Result<Answer, TierError> {
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
        let asked_at = Instant::now();
        if !command.is_write() && !server.breaker.lets_through(asked_at) {
            return Err(failure(TierErrorKind::Unavailable)
                .with_source("the server has not answered lately and is not asked for now"));
        }
        let outcome = self.ask_server(server, key, command, asked_at + self.timeout).await;
        if has_answered(&outcome) {
            if server.breaker.answered(Instant::now()) {
                tracing::info!(server = name, "memcached answers again");
            }
        } else if server.breaker.failed(asked_at, Instant::now()) {
            tracing::warn!(
                server = name,
                "memcached does not answer: most reads go past it until it does"
            );
        }
        outcome
    }

    /// Asks once, or for a read twice where the first connection turned out to be unusable.
    async fn ask_server(
        &self,
        server: &Server,
        key: &str,
        command: Command<'_>,
        deadline: Instant,
    ) -> Result<Answer, TierError> {
        let failure = |kind| TierError::new(self.name(), command.name(), kind);
        let (size, limit) = (command.value_len(), self.max_value_len);
        // A process with a larger limit of its own may have stored more than this one would.
        let max_len = self.max_value_len.max(DEFAULT_MAX_VALUE_LEN);
        let mut may_retry = !command.is_write();
        loop {
            let connection = timeout_at(deadline, server.connection(self.connect_timeout)).await;
            let mut connection = connection
                .map_err(|elapsed| failure(TierErrorKind::Unavailable).with_source(elapsed))?
                .map_err(|error| failure(TierErrorKind::Unavailable).with_source(error))?;
            // A timeout polls once even when it is over: too late to send something whose reply nobody will wait for.
            if deadline <= Instant::now() {
                return Err(failure(TierErrorKind::Unavailable).with_source(io::Error::from(io::ErrorKind::TimedOut)));
            }
            let exchange = timeout_at(deadline, connection.exchange(command, key, max_len)).await;
            let kind = if command.is_write() && connection.has_sent() {
                TierErrorKind::Unknown
            } else {
                TierErrorKind::Unavailable
            };
            match exchange {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(_)) if may_retry => {
                    may_retry = false;
                    drop(connection);
                    server.close_idle();
                }
                Ok(Err(error)) => return Err(failure(refine(kind, &error, size, limit)).with_source(error)),
                Err(elapsed) => return Err(failure(kind).with_source(elapsed)),
            }
        }
    }

    async fn cas(&self, key: &str, token: Token, value: &[u8], exptime: u32) -> Result<Swap, TierError> {
        let Token(token) = token;
        let command = Command::Cas { value, exptime, token };
        Ok(match self.ask(key, command).await? {
            Answer::Done => Swap::Done,
            Answer::Absent => Swap::Missing,
            Answer::Value(..) | Answer::Changed => Swap::Changed,
        })
    }
}

/// What a failed exchange says beyond `kind`: memcached's answer that the value is too large means that nothing was
/// stored. Its limit is not told; it is less than `size`.
fn refine(kind: TierErrorKind, error: &io::Error, size: usize, limit: usize) -> TierErrorKind {
    if size > 0 && Surprise::of(error).is_some_and(Surprise::is_too_large) {
        let limit = limit.min(size - 1);
        TierErrorKind::TooLarge { size, limit }
    } else {
        kind
    }
}

/// Whether the server said anything. An answer that is an error, or nonsense, is one: nobody had to wait for it.
fn has_answered(outcome: &Result<Answer, TierError>) -> bool {
    let Err(error) = outcome else { return true };
    let cause = error.source().and_then(|source| source.downcast_ref());
    cause.and_then(Surprise::of).is_some()
}

impl CacheTier for Memcache {
    fn name(&self) -> &'static str {
        "memcache"
    }

    fn max_value_len(&self) -> usize {
        self.max_value_len
    }

    async fn get(&self, key: &str) -> Result<Option<Cached>, TierError> {
        Ok(match self.ask(key, Command::Get).await? {
            Answer::Value(value, token) => Some(Cached {
                value: value.into(),
                token: Token(token),
            }),
            Answer::Absent | Answer::Done | Answer::Changed => None,
        })
    }

    async fn add(&self, key: &str, value: Bytes, ttl: Duration) -> Result<bool, TierError> {
        let exptime = exptime(ttl);
        let command = Command::Add { value: &value, exptime };
        Ok(matches!(self.ask(key, command).await?, Answer::Done))
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), TierError> {
        let exptime = exptime(ttl);
        let command = Command::Set { value: &value, exptime };
        self.ask(key, command).await.map(|_| ())
    }

    async fn swap(&self, key: &str, token: Token, value: Bytes, ttl: Duration) -> Result<Swap, TierError> {
        self.cas(key, token, &value, exptime(ttl)).await
    }

    /// Stores an empty value that has already expired in place of the one to remove: memcached has no conditional
    /// delete that the client speaks.
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
