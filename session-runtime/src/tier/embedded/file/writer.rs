//! The only thread that writes. Writes that wait at the same time share one commit and its fsync.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;

use super::error::{StoreError, tier_error};
use super::open::Store;
use super::table::{self, Change, Changes, Outcome};
use crate::tier::started::Started;
use crate::tier::{TierError, TierErrorKind, Write};

/// The most changes that share one commit: limits the memory and the time of one transaction.
const BATCH_LEN: usize = 256;
/// A batch is complete when its values have this size, in bytes, for the same reason.
const BATCH_BYTES: usize = 32 << 20;

/// A change that has waited longer than this is refused rather than applied. Shorter than the caller's timeout, so that
/// the caller usually gets the refusal, and far shorter than the tier's `max_write_delay`.
const MAX_QUEUE_TIME: Duration = Duration::from_secs(5);

/// After a failed write, further ones are refused at once for this many times as long as the failed one took: each attempt
/// reopens the file, and reads fail meanwhile, so that they fail about a tenth of the time.
const BACKOFF_FACTOR: u32 = 9;
/// The longest time for which writes are refused at once.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

pub(super) type WriteResult = Result<Outcome, TierError>;

/// A change that waits to be written, and the caller that waits for its result.
pub(super) struct Request {
    operation: &'static str,
    /// `None` only makes the writer reopen the file if it must be.
    change: Option<Change>,
    queued_at: Instant,
    started: Arc<Started>,
    reply_to: Option<oneshot::Sender<WriteResult>>,
}

impl Request {
    /// A change that is dropped if `started` says that it was given up before its turn.
    pub(super) fn new(
        operation: &'static str,
        change: Change,
        started: Arc<Started>,
        reply_to: oneshot::Sender<WriteResult>,
    ) -> Self {
        Self {
            operation,
            change: Some(change),
            queued_at: Instant::now(),
            started,
            reply_to: Some(reply_to),
        }
    }

    /// Makes the writer reopen the file if it must be.
    pub(super) fn reopen() -> Self {
        Self {
            operation: "reopen",
            change: None,
            queued_at: Instant::now(),
            started: Arc::default(),
            reply_to: None,
        }
    }

    /// An error of `send` is ignored: the caller no longer waits.
    fn reply(self, result: WriteResult) {
        if let Some(reply_to) = self.reply_to {
            drop(reply_to.send(result));
        }
    }

    fn fail(self, kind: TierErrorKind, cause: &Arc<StoreError>) {
        let error = tier_error(self.operation, kind).with_source(Arc::clone(cause));
        self.reply(Err(error));
    }
}

/// Writes until the last handle of the tier is dropped and every queued request is written, then closes the file.
pub(super) fn run(mut queue: Receiver<Request>, store: &Store) {
    let mut batch = Vec::with_capacity(BATCH_LEN);
    let mut backoff_until = Instant::now();
    while let Some(first) = queue.blocking_recv() {
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(request) = next {
            bytes += request.change.as_ref().map_or(0, Change::len);
            batch.push(request);
            // Requests queue up while a commit waits for the disk: the slower the disk, the more share the next commit.
            next = if batch.len() < BATCH_LEN && bytes < BATCH_BYTES {
                queue.try_recv().ok()
            } else {
                None
            };
        }
        let started = Instant::now();
        if started < backoff_until {
            refuse(&mut batch, TierErrorKind::Unavailable, StoreError::BackingOff);
        } else if !write(store, &mut batch) {
            backoff_until = Instant::now() + (started.elapsed() * BACKOFF_FACTOR).min(MAX_BACKOFF);
        }
    }
    store.close();
}

/// Applies `batch` in one transaction and replies to every request in it; returns whether that succeeded.
fn write(store: &Store, batch: &mut Vec<Request>) -> bool {
    if !store.is_healthy() && !reopen(store) {
        refuse(batch, TierErrorKind::Unavailable, StoreError::Closed);
        return false;
    }
    batch.retain(|request| request.change.is_some());
    let now = Instant::now();
    for late in batch.extract_if(.., |request| now.duration_since(request.queued_at) > MAX_QUEUE_TIME) {
        let error = tier_error(late.operation, TierErrorKind::Unavailable)
            .with_source("the write waited too long for the disk");
        late.reply(Err(error));
    }
    batch.retain(|request| request.started.start());
    if batch.is_empty() {
        return true;
    }
    match apply(store, batch) {
        Ok(changes) => commit(store, batch, changes),
        Err(cause) => {
            refuse(batch, TierErrorKind::Unavailable, cause);
            // Not left to the next write, since reads fail until it is done.
            reopen(store);
            false
        }
    }
}

fn refuse(batch: &mut Vec<Request>, kind: TierErrorKind, cause: StoreError) {
    let cause = Arc::new(cause);
    for request in batch.drain(..) {
        request.fail(kind, &cause);
    }
}

fn apply(store: &Store, batch: &[Request]) -> Result<Changes, StoreError> {
    store.with(|database| Changes::apply(database, batch.iter().filter_map(|request| request.change.as_ref())))
}

fn commit(store: &Store, batch: &mut Vec<Request>, changes: Changes) -> bool {
    let (outcomes, counter) = (changes.outcomes(), changes.counter());
    // Without a change there is nothing to sync: what was read is committed already.
    let committed = store.with(|_| {
        if changes.is_empty() {
            changes.abort()
        } else {
            changes.commit()
        }
    });
    let Err(cause) = committed else {
        for (request, outcome) in batch.drain(..).zip(outcomes) {
            request.reply(Ok(outcome));
        }
        return true;
    };
    // After a failed commit redb rejects every call until the file is reopened. What is read then is on the disk, and the
    // counter decides: if it is older than this batch, the batch was not applied and never will be; otherwise it was, and
    // is durable.
    let found = if reopen(store) {
        store.with(table::counter).ok()
    } else {
        None
    };
    let cause = Arc::new(cause);
    for (request, outcome) in batch.drain(..).zip(outcomes) {
        let changed_nothing = matches!(outcome.write, Write::Conflict | Write::Missing) && outcome.purged == 0;
        match found {
            Some(found) if found >= counter => request.reply(Ok(outcome)),
            Some(_) => request.fail(TierErrorKind::Unavailable, &cause),
            None if changed_nothing => request.fail(TierErrorKind::Unavailable, &cause),
            None => request.fail(TierErrorKind::Unknown, &cause),
        }
    }
    false
}

fn reopen(store: &Store) -> bool {
    if let Err(error) = store.reopen() {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "cannot reopen the session file"
        );
        return false;
    }
    tracing::warn!("reopened the session file after an I/O error");
    true
}
