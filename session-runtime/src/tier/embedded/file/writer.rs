//! The one thread that writes, and how many writes share one fsync.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;

use super::error::{Fault, tier_error};
use super::open::Store;
use super::table::{self, Change, Changes, Outcome};
use crate::tier::{TierError, TierErrorKind, Write};

/// The most changes that share one commit, and the most bytes: they bound the memory and the time of one transaction.
const BATCH_LEN: usize = 256;
const BATCH_BYTES: usize = 32 << 20;

/// A change that waited longer than this is refused rather than applied. It is shorter than the caller's patience, so
/// that a caller who was told nothing is rare, and shorter than the delay that the trait promises by far.
const APPLY_WITHIN: Duration = Duration::from_secs(5);

/// After the disk refused a write, further ones are refused unseen for so many times as long as the attempt took, at
/// most [`LONGEST_REST`]: each attempt costs opening the file again, during which nobody can read it.
const REST: u32 = 9;
const LONGEST_REST: Duration = Duration::from_secs(5);

pub(super) type Answer = Result<Outcome, TierError>;

/// A change that waits to be written, and who wants to know.
pub(super) struct Request {
    doing: &'static str,
    /// `None` only wakes the writer, to look after the file.
    change: Option<Change>,
    asked: Instant,
    answer: Option<oneshot::Sender<Answer>>,
}

impl Request {
    pub(super) fn new(doing: &'static str, change: Change, answer: oneshot::Sender<Answer>) -> Self {
        Self {
            doing,
            change: Some(change),
            asked: Instant::now(),
            answer: Some(answer),
        }
    }

    /// Asks the writer to open the file again if it must be.
    pub(super) fn wake() -> Self {
        Self {
            doing: "reopen",
            change: None,
            asked: Instant::now(),
            answer: None,
        }
    }

    /// Whoever asked may be gone; that changes nothing.
    fn answer(self, answer: Answer) {
        if let Some(waiting) = self.answer {
            drop(waiting.send(answer));
        }
    }

    fn fail(self, kind: TierErrorKind, cause: &Arc<Fault>) {
        let error = tier_error(self.doing, kind).with_source(Arc::clone(cause));
        self.answer(Err(error));
    }
}

/// Writes until the last handle of the tier is gone and everything that it asked for is written, then closes the file.
pub(super) fn run(mut queue: Receiver<Request>, store: &Store) {
    let mut batch = Vec::with_capacity(BATCH_LEN);
    let mut rest_until = Instant::now();
    while let Some(first) = queue.blocking_recv() {
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(request) = next {
            bytes += request.change.as_ref().map_or(0, Change::len);
            batch.push(request);
            // While a commit waits for the disk the next ones gather here: the slower the disk, the more share it.
            next = if batch.len() < BATCH_LEN && bytes < BATCH_BYTES {
                queue.try_recv().ok()
            } else {
                None
            };
        }
        let began = Instant::now();
        if began < rest_until {
            refuse(&mut batch, TierErrorKind::Unavailable, Fault::Resting);
        } else if !write(store, &mut batch) {
            rest_until = Instant::now() + (began.elapsed() * REST).min(LONGEST_REST);
        }
    }
    store.close();
}

/// Carries out `batch` in one transaction and answers everyone in it; tells whether the disk took it.
fn write(store: &Store, batch: &mut Vec<Request>) -> bool {
    if !store.is_fit() && !reopen(store) {
        refuse(batch, TierErrorKind::Unavailable, Fault::Closed);
        return false;
    }
    batch.retain(|request| request.change.is_some());
    let now = Instant::now();
    for late in batch.extract_if(.., |request| now.duration_since(request.asked) > APPLY_WITHIN) {
        let error = tier_error(late.doing, TierErrorKind::Unavailable).with_source("it waited too long for the disk");
        late.answer(Err(error));
    }
    if batch.is_empty() {
        return true;
    }
    match apply(store, batch) {
        Ok(changes) => commit(store, batch, changes),
        Err(cause) => {
            refuse(batch, TierErrorKind::Unavailable, cause);
            // Now, and not at the next write: readers are refused until it is done.
            reopen(store);
            false
        }
    }
}

fn refuse(batch: &mut Vec<Request>, kind: TierErrorKind, cause: Fault) {
    let cause = Arc::new(cause);
    for request in batch.drain(..) {
        request.fail(kind, &cause);
    }
}

fn apply(store: &Store, batch: &[Request]) -> Result<Changes, Fault> {
    store.with(|database| Changes::apply(database, batch.iter().filter_map(|request| request.change.as_ref())))
}

fn commit(store: &Store, batch: &mut Vec<Request>, changes: Changes) -> bool {
    let (outcomes, counter) = (changes.outcomes(), changes.counter());
    // Nothing to write, and no fsync to wait for: all that was seen was committed before.
    let committed = if changes.is_empty() {
        drop(changes);
        Ok(())
    } else {
        store.with(|_| changes.commit())
    };
    let Err(cause) = committed else {
        for (request, outcome) in batch.drain(..).zip(outcomes) {
            request.answer(Ok(outcome));
        }
        return true;
    };
    // redb takes nothing more after a failed commit. What the file holds once it is open again decides: without this
    // batch's counter the batch is not there and never will be. With it, the pages were written, but the disk has
    // refused to say that they are safe.
    reopen(store);
    let is_absent = store.with(table::counter).is_ok_and(|found| found < counter);
    let cause = Arc::new(cause);
    for (request, outcome) in batch.drain(..).zip(outcomes) {
        let changed_nothing = matches!(outcome.write, Write::Conflict | Write::Missing) && outcome.purged == 0;
        let kind = if is_absent || changed_nothing {
            TierErrorKind::Unavailable
        } else {
            TierErrorKind::Unknown
        };
        request.fail(kind, &cause);
    }
    false
}

fn reopen(store: &Store) -> bool {
    if let Err(error) = store.reopen() {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the session file cannot be opened again"
        );
        return false;
    }
    tracing::warn!("the session file was opened again after an I/O error");
    true
}
