//! The connections to the server, and the calls that are made over them.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{BuildError, Client, Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::call_error::{CallError, NAME};
use super::parameter::Parameter;
use crate::tier::{TierError, TierErrorKind};

/// How many calls may be under way or wait, for each connection. At a millisecond a call the last of them is answered
/// 0.1 s later; where it is not, the server is stalled, and more would only wait for it.
const CALLS_PER_CONNECTION: usize = 100;

/// How long sent bytes may stay unacknowledged before the connection is closed (`TCP_USER_TIMEOUT`, tcp(7)). Without
/// it, a write that timed out long ago could still be sent from the socket's buffer when a network partition heals.
pub(super) const UNSENT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection is used. A server that was replaced behind its name is left after that time, and the memory
/// that the server keeps for a connection is freed. As long as other pools have it (`HikariCP`'s `maxLifetime`, sqlx's
/// `max_lifetime`).
const MAX_AGE: Duration = Duration::from_mins(30);

/// A pool of connections. Clones share it.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool,
    room: Arc<Semaphore>,
    limit: usize,
    call_timeout: Duration,
}

/// The time that is left to a call, and its place among the calls that may be made at the same time.
pub(super) struct Budget {
    _room: OwnedSemaphorePermit,
    pub(super) deadline: Instant,
}

/// More calls than wait already would wait for too long.
#[derive(Debug, thiserror::Error)]
#[error(
    "{limit} calls wait for the server already: it is stalled, or needs more connections (`PostgresBuilder::connections`)"
)]
struct TooManyCalls {
    limit: usize,
}

/// The time of a call is up.
#[derive(Debug, thiserror::Error)]
#[error("there was no {what} in time")]
struct TimeIsUp {
    what: &'static str,
}

impl Connections {
    /// At most `limit` connections, each made when it is needed.
    pub(super) fn new(
        config: Config,
        tls: MakeRustlsConnect,
        limit: usize,
        call_timeout: Duration,
    ) -> Result<Self, BuildError> {
        let manager = Manager::from_config(
            config,
            tls,
            ManagerConfig {
                // A connection is given back only when it has nothing outstanding, so there is nothing to clean.
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let young_enough = Hook::sync_fn(|_, metrics| {
            if metrics.age() < MAX_AGE {
                return Ok(());
            }
            Err(HookError::message("the connection is replaced, since it is old"))
        });
        let pool = Pool::builder(manager)
            .max_size(limit)
            .pre_recycle(young_enough)
            .build()?;
        Ok(Self {
            pool,
            room: Arc::new(Semaphore::new(limit * CALLS_PER_CONNECTION)),
            limit: limit * CALLS_PER_CONNECTION,
            call_timeout,
        })
    }

    /// Begins a call, unless too many wait already.
    pub(super) fn budget(&self, operation: &'static str) -> Result<Budget, TierError> {
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_| {
            let too_many = TooManyCalls { limit: self.limit };
            TierError::new(NAME, operation, TierErrorKind::Unavailable).with_source(too_many)
        })?;
        Ok(Budget {
            _room: room,
            deadline: Instant::now() + self.call_timeout,
        })
    }

    /// A connection that nobody else uses. An error means that nothing was sent.
    pub(super) async fn connection(&self, deadline: Instant) -> Result<Client, CallError> {
        let connection = timeout_at(deadline, self.pool.get()).await;
        connection
            .map_err(|_| CallError::not_sent(TimeIsUp { what: "connection" }))?
            .map_err(CallError::of_pool)
    }

    /// Carries out one statement, and returns the rows that the server answers once it has committed.
    ///
    /// Where the connection is to blame, and nothing was applied, all that are idle are closed, and the statement is
    /// sent once more over a new one: so a failover is over for a call that meets the server which is read-only now.
    pub(super) async fn query(
        &self,
        deadline: Instant,
        statement: &Arc<str>,
        parameters: impl Into<Arc<[Parameter]>>,
    ) -> Result<Vec<Row>, CallError> {
        let parameters = parameters.into();
        match self.attempt(deadline, statement, &parameters).await {
            Err(error) if error.is_worth_a_new_connection() => {
                self.pool.retain(|_, _| false);
                self.attempt(deadline, statement, &parameters).await
            }
            outcome => outcome,
        }
    }

    async fn attempt(
        &self,
        deadline: Instant,
        statement: &Arc<str>,
        parameters: &Arc<[Parameter]>,
    ) -> Result<Vec<Row>, CallError> {
        let connection = self.connection(deadline).await?;
        // In a task of its own: where the caller is cancelled, the answer is still awaited, and only then is the
        // connection used again. Otherwise calls would queue behind it on the server, and be applied later than they
        // may.
        let exchange = exchange(connection, deadline, Arc::clone(statement), Arc::clone(parameters));
        tokio::spawn(exchange)
            .await
            .unwrap_or_else(|failed| Err(CallError::not_answered(failed)))
    }
}

/// Sends one statement, and awaits the answer until the deadline. A connection on which an answer is still to come is
/// closed; any other goes back to the pool.
async fn exchange(
    connection: Client,
    deadline: Instant,
    statement: Arc<str>,
    parameters: Arc<[Parameter]>,
) -> Result<Vec<Row>, CallError> {
    let outcome = send(&connection, deadline, &statement, &parameters).await;
    if outcome.as_ref().is_err_and(|error| error.breaks_connection) {
        drop(Object::take(connection));
    }
    outcome
}

async fn send(
    connection: &Client,
    deadline: Instant,
    statement: &str,
    parameters: &[Parameter],
) -> Result<Vec<Row>, CallError> {
    let prepared = timeout_at(deadline, connection.prepare_cached(statement))
        .await
        .map_err(|_| CallError::not_sent(TimeIsUp { what: "answer" }))?
        .map_err(CallError::of_connecting)?;
    let parameters: Vec<_> = parameters
        .iter()
        .map(|parameter| parameter as &(dyn ToSql + Sync))
        .collect();
    // It ends with the server's `ReadyForQuery`: the rows come before the commit.
    timeout_at(deadline, connection.query(&prepared, &parameters))
        .await
        .map_err(|_| CallError::not_answered(TimeIsUp { what: "answer" }))?
        .map_err(CallError::of_statement)
}
