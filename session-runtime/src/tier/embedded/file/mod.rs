//! A durable file for one process.

mod backend;
mod error;
#[cfg(test)]
mod fsync_tests;
mod open;
mod table;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use self::error::{NAME, tier_error};
use self::open::{OpenStorage, Store, open_file};
use self::table::Change;
use self::writer::{Request, WriteResult};
use crate::tier::started::Started;
use crate::tier::{DurableTier, Scope, Stored, TierError, TierErrorKind, Version, Write};

pub use self::error::LocalFileError;

/// The largest value, in bytes: 16 MiB, far above any session, and half of what one commit takes.
const MAX_VALUE_LEN: usize = 16 << 20;

/// The most requests in the writer's queue; further callers wait for room in it, within [`RESPONSE_TIMEOUT`].
const QUEUE_LEN: usize = 1024;

/// How long a call takes at most: what a commit on a slow disk takes, many times over.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time between a call and the moment at which its write is applied: it is refused after five seconds in the
/// queue, and the commit itself takes milliseconds unless the disk hangs.
const MAX_WRITE_DELAY: Duration = Duration::from_secs(10);

/// How often expired records are deleted: often enough for the file to stay small beside what is in use.
const PURGE_INTERVAL: Duration = Duration::from_mins(10);

/// The most records that one transaction purges, so that no write waits for a long purge.
const PURGE_BATCH_LEN: usize = 256;

/// A file that keeps records for one process, in place of a distributed durable tier.
///
/// A write is on the disk (fsynced) before it is acknowledged; concurrent writes share one commit. Clones share the file,
/// and dropping the last one closes it: queued writes are written first, and the file may be opened again as soon as the
/// drop returns.
///
/// After an I/O error, such as a full disk, the next call reopens the file, so that the tier recovers with the disk. After an
/// `fsync` that failed, or where the last process did not close the file, all of it is written again and synced before
/// anything is read: the system may have dropped what it could not write, and reads would not show that. While that fails,
/// every call does.
///
/// Its calls need a tokio runtime with time enabled. A write that has waited for five seconds is refused rather than
/// applied; only a disk that hangs during a commit can delay a write for longer.
#[derive(Clone)]
pub struct LocalFile {
    // Declared, and so dropped, before `_writer`: the thread ends when the last sender is dropped, and `_writer` joins it.
    requests: mpsc::Sender<Request>,
    store: Arc<Store>,
    _writer: Arc<Writer>,
}

/// Joins the writer's thread when it is dropped, so that the file is closed when the drop returns.
struct Writer(Option<JoinHandle<()>>);

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // An error means that the thread panicked, and there is nothing to clean up.
            drop(thread.join());
        }
    }
}

impl LocalFile {
    /// Opens the file at `path`, or creates it, readable and writable only by its owner.
    ///
    /// Blocks while every page is checked, so that a damaged file is detected now: the time grows with the size of the
    /// file.
    ///
    /// # Errors
    /// [`LocalFileError`] says what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LocalFileError> {
        let path = path.as_ref().to_owned();
        let file = path.clone();
        Self::open_storage(&path, Box::new(move |access| open_file(&file, access)))
    }

    fn open_storage(path: &Path, storage: OpenStorage) -> Result<Self, LocalFileError> {
        let store = Arc::new(Store::open(path, storage)?);
        let (requests, queue) = mpsc::channel(QUEUE_LEN);
        let thread = {
            let store = Arc::clone(&store);
            std::thread::Builder::new()
                .name("session-file".to_owned())
                .spawn(move || writer::run(queue, &store))
                .map_err(|source| LocalFileError::io(path, source))?
        };
        Ok(Self {
            requests,
            store,
            _writer: Arc::new(Writer(Some(thread))),
        })
    }

    /// Queues `change` for the writer and waits for the result.
    ///
    /// A queued change is applied whether or not the caller still waits, so a dropped future leaves nothing half done. One
    /// whose time is over is given up if it is still in the queue, but for a purge, which nobody minds late.
    async fn change(&self, operation: &'static str, change: Change) -> WriteResult {
        let deadline = Instant::now() + RESPONSE_TIMEOUT;
        let permit = match timeout_at(deadline, self.requests.reserve()).await {
            Ok(Ok(permit)) => permit,
            Ok(Err(_)) => {
                return Err(
                    tier_error(operation, TierErrorKind::Unavailable).with_source("the thread that writes has ended")
                );
            }
            Err(elapsed) => return Err(tier_error(operation, TierErrorKind::Unavailable).with_source(elapsed)),
        };
        let may_give_up = !matches!(change, Change::Purge { .. });
        let (reply_to, reply) = oneshot::channel();
        let started = Arc::new(Started::default());
        permit.send(Request::new(operation, change, Arc::clone(&started), reply_to));
        match timeout_at(deadline, reply).await {
            Ok(Ok(result)) => result,
            Ok(Err(lost)) => Err(tier_error(operation, TierErrorKind::Unknown).with_source(lost)),
            Err(elapsed) if may_give_up && started.give_up() => {
                Err(tier_error(operation, TierErrorKind::Unavailable).with_source(elapsed))
            }
            Err(elapsed) => Err(tier_error(operation, TierErrorKind::Unknown).with_source(elapsed)),
        }
    }

    async fn write(&self, operation: &'static str, change: Change) -> Result<Write, TierError> {
        Ok(self.change(operation, change).await?.write)
    }
}

impl fmt::Debug for LocalFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalFile")
            .field("path", &self.store.path())
            .finish_non_exhaustive()
    }
}

impl DurableTier for LocalFile {
    fn name(&self) -> &'static str {
        NAME
    }

    fn product(&self) -> &'static str {
        "redb"
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    fn max_value_len(&self) -> usize {
        MAX_VALUE_LEN
    }

    fn max_write_delay(&self) -> Duration {
        MAX_WRITE_DELAY
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        let (store, key) = (Arc::clone(&self.store), key.to_owned());
        // A page that is not in memory is read from the disk, which blocks.
        let read = tokio::task::spawn_blocking(move || store.read(&key));
        let unavailable = || tier_error("read", TierErrorKind::Unavailable);
        match timeout_at(Instant::now() + RESPONSE_TIMEOUT, read).await {
            Ok(Ok(Ok(found))) => Ok(found),
            Ok(Ok(Err(cause))) => {
                // Only the writer reopens the file. If the queue is full, it will do so without a request.
                if let Ok(permit) = self.requests.try_reserve() {
                    permit.send(Request::reopen());
                }
                Err(unavailable().with_source(cause))
            }
            Ok(Err(failed)) => Err(unavailable().with_source(failed)),
            Err(elapsed) => Err(unavailable().with_source(elapsed)),
        }
    }

    async fn insert(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        check_len("insert", &value)?;
        let change = Change::Insert {
            key: key.to_owned(),
            value,
            expires_at,
        };
        self.write("insert", change).await
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        check_len("update", &value)?;
        let change = Change::Update {
            key: key.to_owned(),
            base,
            value,
            expires_at,
        };
        self.write("update", change).await
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        let key = key.to_owned();
        self.write("delete", Change::Delete { key, base }).await
    }

    /// Purges in transactions of at most 256 records, and stops early, without an error, after ten seconds.
    fn purge_interval(&self) -> Option<Duration> {
        Some(PURGE_INTERVAL)
    }

    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        let deadline = Instant::now() + RESPONSE_TIMEOUT;
        let mut purged = 0;
        while purged < limit && (purged == 0 || Instant::now() < deadline) {
            let batch_len = PURGE_BATCH_LEN.min(limit - purged);
            let count = match self.change("purge", Change::Purge { now, limit: batch_len }).await {
                Ok(outcome) => outcome.purged,
                Err(error) if purged == 0 => return Err(error),
                Err(_) => break,
            };
            purged += count;
            if count < batch_len {
                break;
            }
        }
        Ok(purged)
    }
}

fn check_len(operation: &'static str, value: &Bytes) -> Result<(), TierError> {
    let (size, limit) = (value.len(), MAX_VALUE_LEN);
    if size > limit {
        return Err(tier_error(operation, TierErrorKind::TooLarge { size, limit }));
    }
    Ok(())
}
