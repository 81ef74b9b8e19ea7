//! The tier: what the calls of [`CacheTier`] mean for a server.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::address::Address;
use super::call::{Answer, Call};
use super::call_error::{CallError, NAME};
use super::check;
use super::config_error::ConfigError;
use super::server::Server;
use crate::tier::traits::PING_KEY;
use crate::tier::{CacheTier, Cached, Scope, Swap, TierError, TierErrorKind, Token};

/// The variables that name the server. The first that is set counts.
const URLS: [&str; 2] = ["VALKEY_URL", "REDIS_URL"];

/// As memcached has it. The server's own limit is 512 MiB (`proto-max-bulk-len`).
const DEFAULT_MAX_VALUE_LEN: usize = 1 << 20;
/// Many times what a healthy server takes, and short for a user who waits.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(250);
/// Less than [`DEFAULT_TIMEOUT`], so that a lost SYN is told from a slow answer.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_millis(200);
/// The longest timeout that can be set, so that every call ends within a bounded time.
const MAX_TIMEOUT: Duration = Duration::from_mins(1);
/// How often a call is handed to a connection. One that turns out to be closed, as by a restart, and one to a server
/// that was demoted, each take one.
const MAX_ATTEMPTS: u32 = 3;

/// A [`CacheTier`] on a Valkey or Redis server.
///
/// One connection carries all calls: commands are sent without waiting for the answers to those before. It is opened
/// when it is needed, and probed while it is idle (TCP keepalive).
///
/// After three calls in a row without an answer, [`get`](CacheTier::get)s fail at once, except for one a second, until
/// the server answers again. Writes are always tried.
///
/// ```
/// # fn main() -> Result<(), session_runtime::tier::valkey::ConfigError> {
/// use std::time::Duration;
///
/// use session_runtime::Valkey;
///
/// let cache = Valkey::connect("redis://shop:secret@10.0.0.1:6379")?.with_timeout(Duration::from_millis(100));
/// # Ok(())
/// # }
/// ```
pub struct Valkey {
    server: Server,
    timeout: Duration,
    connect_timeout: Duration,
    max_value_len: usize,
}

impl Valkey {
    /// A tier on the server at `url`: `redis://user:password@host:port/database`, `rediss://` for TLS, or
    /// `unix:///path`. The schemes `valkey://` and `valkeys://` are the same. User, password, port (6379) and database
    /// (0) may be left out.
    ///
    /// Reads the address and connects to nothing yet.
    ///
    /// # Errors
    /// An address that cannot be read, and TLS that cannot be set up.
    pub fn connect(url: impl AsRef<str>) -> Result<Self, ConfigError> {
        Ok(Self {
            server: Server::new(Address::parse(url.as_ref())?),
            timeout: DEFAULT_TIMEOUT,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            max_value_len: DEFAULT_MAX_VALUE_LEN,
        })
    }

    /// A tier on the server in `VALKEY_URL`, or, where that is not set, in `REDIS_URL`.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect), and where neither is set.
    pub fn from_env() -> Result<Self, ConfigError> {
        let var = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        Self::connect(URLS.into_iter().find_map(var).ok_or(ConfigError::NoUrl)?)
    }

    /// Trusts the certificates in this file, in PEM, in place of the system's: for a server with a certificate of a
    /// private authority.
    ///
    /// # Errors
    /// A file that cannot be used, and an address without TLS.
    pub fn with_root_certificates(mut self, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        self.server.address.trust(path.as_ref())?;
        Ok(self)
    }

    /// Limits the time of every call, including the wait for a connection. Default: 250 ms; at most a minute.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.min(MAX_TIMEOUT);
        self
    }

    /// Limits the time to open a connection, TLS and login included, within that of the call. Default: 200 ms; at most
    /// a minute.
    #[must_use]
    pub fn with_connect_timeout(mut self, connect_timeout: Duration) -> Self {
        self.connect_timeout = connect_timeout.min(MAX_TIMEOUT);
        self
    }

    /// Limits the size of a value, in bytes. Default: 1 MiB. A large value holds up all calls behind it.
    #[must_use]
    pub fn with_max_value_len(mut self, max_value_len: usize) -> Self {
        self.max_value_len = max_value_len;
        self
    }

    /// Carries out `call`, unless the breaker rejects it.
    async fn execute(&self, key: &str, call: Call<'_>) -> Result<Answer, TierError> {
        let (size, limit) = (call.value_len(), self.max_value_len);
        if size > limit {
            return Err(TierError::new(
                NAME,
                call.name(),
                TierErrorKind::TooLarge { size, limit },
            ));
        }
        let (breaker, started_at) = (&self.server.breaker, Instant::now());
        if !call.is_write() && !breaker.allow_read(started_at) {
            return Err(TierError::new(NAME, call.name(), TierErrorKind::Unavailable)
                .with_source("the server has not answered lately: reads are not sent to it for now"));
        }
        let outcome = self.attempt(key, call, started_at + self.timeout).await;
        if outcome.as_ref().err().is_none_or(CallError::is_answer) {
            self.record_answer();
        } else if breaker.record_failure(started_at, Instant::now()) {
            tracing::warn!(server = %self.server.address, "Valkey does not answer: most reads are not sent to it until it does");
        }
        outcome.map_err(|error| error.into_error(call.name(), call.is_write()))
    }

    fn record_answer(&self) {
        if self.server.breaker.record_answer(Instant::now()) {
            tracing::info!(server = %self.server.address, "Valkey answers again");
        }
    }

    /// Carries out `call` once, or again over a new connection where nothing was applied and the connection was to
    /// blame.
    async fn attempt(&self, key: &str, call: Call<'_>, deadline: Instant) -> Result<Answer, CallError> {
        let mut attempts = 0;
        loop {
            let connection = timeout_at(deadline, self.server.connection(self.connect_timeout)).await;
            let connection = connection.map_err(|elapsed| CallError::NotSent(elapsed.into()))??;
            attempts += 1;
            let error = match connection.run(key, call, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let may_retry =
                error.is_worth_a_new_connection() || (!call.is_write() && matches!(error, CallError::NotAnswered(_)));
            if !may_retry || attempts >= MAX_ATTEMPTS || deadline <= Instant::now() {
                return Err(error);
            }
        }
    }

    async fn swapped(&self, key: &str, call: Call<'_>) -> Result<Swap, TierError> {
        Ok(match self.execute(key, call).await? {
            Answer::Done => Swap::Done,
            Answer::Missing => Swap::Missing,
            Answer::Changed | Answer::Value(_) => Swap::Changed,
        })
    }
}

impl CacheTier for Valkey {
    fn name(&self) -> &'static str {
        NAME
    }

    /// As OpenTelemetry calls both.
    fn product(&self) -> &'static str {
        "redis"
    }

    fn scope(&self) -> Scope {
        Scope::Shared
    }

    fn max_value_len(&self) -> usize {
        self.max_value_len
    }

    /// Refuses a server that cannot be used (a replica, a node of a cluster, a version before 6.0, a wrong password),
    /// and a name that leads to several.
    async fn check(&self) -> Result<(), TierError> {
        check::check(&self.server, self.connect_timeout).await
    }

    /// Sent even while the breaker is open. An answer closes it; none is not counted, so that checks take no load off a
    /// server that requests can do with.
    async fn ping(&self) -> Result<Vec<String>, TierError> {
        let outcome = self.attempt(PING_KEY, Call::Get, Instant::now() + self.timeout).await;
        match outcome {
            Err(error) if !error.is_answer() => Err(error.into_error("ping", false)),
            outcome => {
                self.record_answer();
                outcome
                    .map(|_| Vec::new())
                    .map_err(|error| error.into_error("ping", false))
            }
        }
    }

    async fn get(&self, key: &str) -> Result<Option<Cached>, TierError> {
        Ok(match self.execute(key, Call::Get).await? {
            Answer::Value(cached) => Some(cached),
            Answer::Missing | Answer::Done | Answer::Changed => None,
        })
    }

    async fn add(&self, key: &str, value: Bytes, ttl: Duration) -> Result<bool, TierError> {
        let call = Call::Add { value: &value, ttl };
        Ok(self.execute(key, call).await? == Answer::Done)
    }

    /// Deletes what is there, where the server is full and does not evict.
    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), TierError> {
        let call = Call::Set { value: &value, ttl };
        self.execute(key, call).await.map(drop)
    }

    async fn swap(&self, key: &str, token: Token, value: Bytes, ttl: Duration) -> Result<Swap, TierError> {
        let call = Call::Swap {
            token,
            value: &value,
            ttl,
        };
        self.swapped(key, call).await
    }

    async fn remove(&self, key: &str, token: Token) -> Result<Swap, TierError> {
        self.swapped(key, Call::Remove { token }).await
    }
}

impl fmt::Debug for Valkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Valkey")
            .field("server", &self.server.address.to_string())
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("max_value_len", &self.max_value_len)
            .finish_non_exhaustive()
    }
}
