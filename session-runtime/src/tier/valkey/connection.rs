//! A connection to a server, which many calls share: a task of the client library sends them as they come, and hands
//! out the answers in their order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, Value};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::address::Stream;
use super::call::{Answer, Call, Found, Script, command};
use super::call_error::{CallError, Closed, UnexpectedAnswer};
use super::life::{self, Life, Unfit};

/// How often a server is asked, beside a `get`, whether it is still the primary that it was. One that was demoted
/// answers what is old, and its connections may live on.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(1);
/// How often a `get` or an `add` is tried because there was a value of an earlier life, which may have changed in between.
const MAX_ATTEMPTS: u32 = 3;

/// Why no connection can be had over a stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error(transparent)]
    Client(#[from] RedisError),
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

/// A connection to a primary, in one life of it.
pub(super) struct Connection {
    client: MultiplexedConnection,
    driver: Driver,
    is_closed: AtomicBool,
    run_id: String,
    life: Life,
    add: String,
    swap: String,
    confirmed: Mutex<Confirmed>,
}

/// The task that owns the socket. It ends with this.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Confirmed {
    /// When the server was asked last for the life that it is in.
    asked_at: Instant,
    /// A life that was found on values and is over, as are all but the current one.
    dead: Option<Life>,
}

impl Connection {
    /// Logs in, and asks the server who it is. The caller bounds the wait.
    pub(super) async fn open(stream: Box<dyn Stream>, login: &RedisConnectionInfo) -> Result<Self, HandshakeError> {
        let asked_at = Instant::now();
        // Calls have a deadline of their own.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None);
        let (client, driver) = MultiplexedConnection::new_with_config(login, stream, config).await?;
        let driver = Driver(tokio::spawn(driver).abort_handle());
        let ask = async |words: [&str; 2]| command(&words).query_async::<String>(&mut client.clone()).await;
        let load = async |script: Script| {
            let load = command(&["SCRIPT", "LOAD", script.text()]);
            load.query_async::<String>(&mut client.clone()).await
        };
        let (server, replication, add, swap) = tokio::try_join!(
            ask(["INFO", "server"]),
            ask(["INFO", "replication"]),
            load(Script::Add),
            load(Script::Swap),
        )?;
        let run_id = life::run_id(&server)?.to_owned();
        Ok(Self {
            client,
            driver,
            is_closed: AtomicBool::new(false),
            life: life::life_of_primary(&run_id, &replication)?,
            run_id,
            add,
            swap,
            confirmed: Mutex::new(Confirmed { asked_at, dead: None }),
        })
    }

    pub(super) fn is_usable(&self) -> bool {
        !self.is_closed.load(Ordering::Relaxed) && !self.driver.0.is_finished()
    }

    /// Whether the other one leads to the same server.
    pub(super) fn is_of_same_server(&self, other: &Self) -> bool {
        self.run_id == other.run_id
    }

    /// Closes it. The calls that wait for an answer get none.
    fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.driver.0.abort();
    }

    /// Carries out a call, until `deadline`. It may be dropped at any point: the answer passes unread.
    pub(super) async fn run(&self, key: &str, call: Call<'_>, deadline: Instant) -> Result<Answer, CallError> {
        for _ in 0..MAX_ATTEMPTS {
            let found = match call {
                Call::Get if self.is_confirmation_due() => {
                    // Sent one behind the other, in one round trip.
                    let found = self.find(key, call, self.life, deadline);
                    let (found, confirmed) = tokio::join!(found, self.confirm(deadline));
                    confirmed.and(found)?
                }
                _ => self.find(key, call, self.life, deadline).await?,
            };
            let (life, cached) = match found {
                Found::Answer(answer) => return Ok(answer),
                Found::OfLife(life, Some(cached)) if life == self.life => return Ok(Answer::Value(cached)),
                Found::OfLife(life, cached) => (life, cached),
            };
            self.note_dead(life, deadline).await?;
            match (call, cached) {
                (Call::Add { .. }, _) => {}
                (Call::Get, Some(cached)) => {
                    // Removed before it is said that there is none: nothing vouches for the life but what was read.
                    let remove = Call::Remove { token: cached.token };
                    let removed = self.find(key, remove, life, deadline).await?;
                    if let Found::Answer(Answer::Done | Answer::Missing) = removed {
                        return Ok(Answer::Missing);
                    }
                }
                _ => return Ok(Answer::Missing),
            }
        }
        match call {
            Call::Get => Err(CallError::NotAnswered(UnexpectedAnswer.into())),
            _ => Ok(Answer::Changed),
        }
    }

    /// Sends the command of a call; a script that the server does not know, since its cache was flushed, with its text.
    async fn find(&self, key: &str, call: Call<'_>, life: Life, deadline: Instant) -> Result<Found, CallError> {
        let dead = self.confirmed().dead;
        let command_of = |script: Cmd| call.command(script, key, life, dead);
        let Some(script) = call.script() else {
            let sent = self.send(&command_of(Cmd::new()), deadline).await;
            return match sent {
                // What is hidden must not stay, and deleting takes no memory.
                Err(error) if matches!(call, Call::Set { .. }) && error.is_full() => {
                    self.send(&command(&["DEL", key]), deadline).await?;
                    Ok(Found::Answer(Answer::Done))
                }
                sent => self.read(call, sent?),
            };
        };
        let hash = match script {
            Script::Add => &self.add,
            Script::Swap => &self.swap,
        };
        let answer = match self.send(&command_of(command(&["EVALSHA", hash])), deadline).await {
            Err(error) if error.is_unknown_script() => {
                self.send(&command_of(command(&["EVAL", script.text()])), deadline)
                    .await
            }
            sent => sent,
        };
        self.read(call, answer?)
    }

    fn read(&self, call: Call<'_>, answer: Value) -> Result<Found, CallError> {
        call.read(answer).ok_or_else(|| {
            self.close();
            CallError::NotAnswered(UnexpectedAnswer.into())
        })
    }

    /// Sends a command, and waits for its answer until `deadline`. Where there is none in time, the connection is
    /// closed, so that whoever comes next does not wait behind this one.
    async fn send(&self, command: &Cmd, deadline: Instant) -> Result<Value, CallError> {
        // `timeout_at` polls once even after the deadline, and would send a command whose answer nobody waits for.
        if !self.is_usable() || deadline <= Instant::now() {
            return Err(CallError::NotSent(Closed.into()));
        }
        let mut client = self.client.clone();
        let answer = timeout_at(deadline, command.query_async(&mut client)).await;
        let error = match answer {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => CallError::of_client(error),
            Err(elapsed) => CallError::NotAnswered(elapsed.into()),
        };
        if !matches!(error, CallError::Answer(_)) {
            self.close();
        }
        Err(error)
    }

    fn is_confirmation_due(&self) -> bool {
        self.confirmed().asked_at.elapsed() >= CONFIRM_INTERVAL
    }

    /// Asks the server whether it is still the primary, and in the same life. If not, the connection is closed.
    async fn confirm(&self, deadline: Instant) -> Result<(), CallError> {
        let asked_at = Instant::now();
        let answer = self.send(&command(&["INFO", "replication"]), deadline).await?;
        let replication = redis::from_redis_value::<String>(answer).unwrap_or_default();
        let stale = match life::life_of_primary(&self.run_id, &replication) {
            Ok(life) if life == self.life => {
                let mut confirmed = self.confirmed();
                confirmed.asked_at = confirmed.asked_at.max(asked_at);
                return Ok(());
            }
            Ok(_) => CallError::Stale(Closed.into()),
            Err(unfit) => CallError::Stale(unfit.into()),
        };
        self.close();
        Err(stale)
    }

    /// A value was found that was written in another life. Lives do not come back: where the server is still in this
    /// one, that one is over.
    async fn note_dead(&self, life: Life, deadline: Instant) -> Result<(), CallError> {
        if self.confirmed().dead != Some(life) {
            self.confirm(deadline).await?;
            self.confirmed().dead = Some(life);
        }
        Ok(())
    }

    /// A poisoned lock is usable: nothing that changes the state can panic halfway.
    fn confirmed(&self) -> MutexGuard<'_, Confirmed> {
        self.confirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
