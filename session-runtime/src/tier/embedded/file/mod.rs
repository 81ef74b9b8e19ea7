//! A durable file for one process.

mod error;
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
use self::open::{Access, Store};
use self::table::Change;
use self::writer::{Answer, Request};
use crate::tier::{DurableTier, Stored, TierError, TierErrorKind, Version, Write};

pub use self::error::OpenError;

/// The largest value that is taken, in bytes: 16 MiB, far above any session and far below what one transaction holds.
const MAX_VALUE_LEN: usize = 16 << 20;

/// Writes that may wait for the writer; further callers wait for a place, within [`ANSWER_WITHIN`].
const QUEUE_LEN: usize = 1024;

/// How long a caller waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The most records that one transaction purges, so that no writer waits for a long purge.
const PURGE_AT_ONCE: usize = 256;

/// A file that keeps records for one process, in place of a distributed durable tier.
///
/// A write is on the disk (fsynced) before it is acknowledged; writes that arrive together share one commit. Clones
/// share the file, and dropping the last one closes it: whatever was asked for is written first, and the file may be
/// opened again as soon as the drop returns.
///
/// After an I/O error, such as a full disk, the file is opened again at the next call, so that the tier recovers when
/// the disk does.
///
/// Its calls want a tokio runtime with time enabled. A write that has waited for five seconds is refused rather than
/// applied late; only a disk that hangs in the middle of one commit can delay one past that.
#[derive(Clone)]
pub struct LocalFile {
    // Before `writer`: the writer ends when the last sender is gone, and only then can it be waited for.
    requests: mpsc::Sender<Request>,
    store: Arc<Store>,
    _writer: Arc<Writer>,
}

/// Waits for the writer's thread, so that no thread outlives the tier and the file is closed when the drop returns.
struct Writer(Option<JoinHandle<()>>);

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // An error means that the thread panicked; there is nothing left to do about it.
            drop(thread.join());
        }
    }
}

impl LocalFile {
    /// Opens the file at `path`, and creates it, readable and writable by its owner alone, if there is none.
    ///
    /// Every page is checked first, so that a damaged file is found now and not by a user: the time it takes grows
    /// with the file. The call blocks.
    ///
    /// # Errors
    /// [`OpenError`] says what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let store = Arc::new(Store::open(path, Access::Create)?);
        let (requests, queue) = mpsc::channel(QUEUE_LEN);
        let thread = {
            let store = Arc::clone(&store);
            std::thread::Builder::new()
                .name("session-file".to_owned())
                .spawn(move || writer::run(queue, &store))
                .map_err(|source| OpenError::io(path, source))?
        };
        Ok(Self {
            requests,
            store,
            _writer: Arc::new(Writer(Some(thread))),
        })
    }

    /// Hands `change` to the writer and waits for its answer.
    ///
    /// From the moment it is queued it is carried out whether or not anyone still waits, so a dropped future cuts
    /// nothing in half.
    async fn change(&self, doing: &'static str, change: Change) -> Answer {
        let until = Instant::now() + ANSWER_WITHIN;
        let place = match timeout_at(until, self.requests.reserve()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_)) => return Err(tier_error(doing, TierErrorKind::Unavailable).with_source("the writer has ended")),
            Err(late) => return Err(tier_error(doing, TierErrorKind::Unavailable).with_source(late)),
        };
        let (answer, answered) = oneshot::channel();
        place.send(Request::new(doing, change, answer));
        match timeout_at(until, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(lost)) => Err(tier_error(doing, TierErrorKind::Unknown).with_source(lost)),
            Err(late) => Err(tier_error(doing, TierErrorKind::Unknown).with_source(late)),
        }
    }

    async fn write(&self, doing: &'static str, change: Change) -> Result<Write, TierError> {
        Ok(self.change(doing, change).await?.write)
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

    fn max_value_len(&self) -> usize {
        MAX_VALUE_LEN
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        let (store, key) = (Arc::clone(&self.store), key.to_owned());
        // Off the async threads: a page that is not in memory comes from the disk.
        let read = tokio::task::spawn_blocking(move || store.read(&key));
        let unavailable = || tier_error("read", TierErrorKind::Unavailable);
        match timeout_at(Instant::now() + ANSWER_WITHIN, read).await {
            Ok(Ok(Ok(found))) => Ok(found),
            Ok(Ok(Err(cause))) => {
                // Only the writer opens the file again. A full queue means that it is about to find out by itself.
                if let Ok(place) = self.requests.try_reserve() {
                    place.send(Request::wake());
                }
                Err(unavailable().with_source(cause))
            }
            Ok(Err(cut)) => Err(unavailable().with_source(cut)),
            Err(late) => Err(unavailable().with_source(late)),
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

    /// Purges in transactions of at most 256 records, and stops early, without an error, where an answer takes long.
    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        let until = Instant::now() + ANSWER_WITHIN;
        let mut purged = 0;
        while purged < limit && (purged == 0 || Instant::now() < until) {
            let at_most = PURGE_AT_ONCE.min(limit - purged);
            let count = match self.change("purge", Change::Purge { now, limit: at_most }).await {
                Ok(outcome) => outcome.purged,
                Err(error) if purged == 0 => return Err(error),
                Err(_) => break,
            };
            purged += count;
            if count < at_most {
                break;
            }
        }
        Ok(purged)
    }
}

fn check_len(doing: &'static str, value: &Bytes) -> Result<(), TierError> {
    let (size, limit) = (value.len(), MAX_VALUE_LEN);
    if size > limit {
        return Err(tier_error(doing, TierErrorKind::TooLarge { size, limit }));
    }
    Ok(())
}
