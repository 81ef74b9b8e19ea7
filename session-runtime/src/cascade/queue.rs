//! Writers of one session in one process queue here, rather than for the conflicts that they would cause each other in
//! the durable tier; and the one whose turn it is may write for those behind it. Correctness does not depend on it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::outcome::{CommitError, Committed};
use super::patch::Patch;
use super::protocol::VersionedRecord;
use crate::session::Schema;
use crate::session::record::Record;
use crate::tier::Version;

/// About as long as Datastore takes for a write. Of ten nodes that write one session a thousand times a second, none is
/// refused then (`tests/simulation`).
const MAX_TURN_PAUSE_MS: u64 = 25;

type Loaded = VersionedRecord<Record>;
type Latest = Option<Loaded>;
type Outcome = Result<Committed, CommitError>;

/// The queues of the sessions that are being written. A session that nobody writes has none.
#[derive(Default)]
pub(crate) struct WriteQueues(Mutex<Queues>);

#[derive(Default)]
struct Queues {
    by_key: HashMap<Arc<str>, VecDeque<Waiting>>,
    last_id: u64,
}

struct Waiting {
    id: u64,
    patch: Box<Patch>,
    loaded: Loaded,
    /// Whether another writer may write the patch with its own.
    may_share: bool,
    turn: oneshot::Sender<Turn>,
}

/// What a writer has waited for.
pub(crate) enum Turn {
    /// To write its patch to the record that it has loaded.
    Write(WriteGuard, Box<Patch>, Loaded),
    /// Another writer has written the patch, or failed to.
    Written(Outcome),
}

/// A writer whose patch another one writes.
pub(crate) struct Follower {
    /// The record that it has loaded.
    pub(crate) loaded: Loaded,
    turn: oneshot::Sender<Turn>,
}

impl Follower {
    /// Says how it ended. Its caller may wait no longer.
    pub(crate) fn end(self, outcome: Outcome) {
        drop(self.turn.send(Turn::Written(outcome)));
    }
}

/// Held by the one writer of a session. The next one has its turn when it is dropped.
pub(crate) struct WriteGuard {
    queues: Arc<WriteQueues>,
    key: Arc<str>,
    latest: Latest,
    /// Whether other processes are known to write the session.
    has_rivals: bool,
}

impl WriteQueues {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other writer of this process holds `key`, or until one has written the patch as well, where it
    /// `may_share` a write. `None` where neither has begun within `patience`: nothing was sent.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        key: &str,
        patch: Box<Patch>,
        loaded: Loaded,
        may_share: bool,
        patience: Duration,
    ) -> Option<Turn> {
        let session = patch.schema.name;
        let (id, mut receiver) = {
            let mut queues = self.lock();
            queues.last_id += 1;
            let id = queues.last_id;
            let Some(queue) = queues.by_key.get_mut(key) else {
                let key: Arc<str> = key.into();
                queues.by_key.insert(Arc::clone(&key), VecDeque::new());
                drop(queues);
                return Some(Turn::Write(self.guard(key, None, false), patch, loaded));
            };
            let (turn, receiver) = oneshot::channel();
            queue.push_back(Waiting {
                id,
                patch,
                loaded,
                may_share,
                turn,
            });
            (id, receiver)
        };
        let no_answer = |_| Turn::Written(Err(CommitError::Unknown { session, source: None }));
        if let Ok(turn) = tokio::time::timeout(patience, &mut receiver).await {
            return Some(turn.unwrap_or_else(no_answer));
        }
        if self.withdraw(key, id) {
            return None;
        }
        // Another writer has it in hand.
        Some(receiver.await.unwrap_or_else(no_answer))
    }

    /// Takes a writer out of the queue; returns whether it was still there.
    fn withdraw(&self, key: &str, id: u64) -> bool {
        let mut queues = self.lock();
        let Some(queue) = queues.by_key.get_mut(key) else {
            return false;
        };
        let place = queue.iter().position(|waiting| waiting.id == id);
        place.is_some_and(|place| queue.remove(place).is_some())
    }

    fn guard(self: &Arc<Self>, key: Arc<str>, latest: Latest, has_rivals: bool) -> WriteGuard {
        WriteGuard {
            queues: Arc::clone(self),
            key,
            latest,
            has_rivals,
        }
    }
}

impl WriteGuard {
    /// Of the session.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// What the writer before has just stored.
    pub(crate) fn latest(&self) -> Option<&VersionedRecord<Record>> {
        self.latest.as_ref()
    }

    /// Whether the writer before has just stored this version. A later one comes from another process, and that is noted.
    pub(crate) fn begins_with_latest(&mut self, version: Version) -> bool {
        let latest = self.latest.as_ref().map(|latest| latest.version);
        self.has_rivals |= latest.is_some_and(|latest| latest < version);
        latest == Some(version)
    }

    /// Leaves what was stored to the next writer.
    pub(crate) fn hand_over(&mut self, stored: Latest, met_rivals: bool) {
        self.latest = stored;
        self.has_rivals |= met_rivals;
    }

    /// Gives the writers of other processes a chance, where there are any: they have lost to the writer before, and without
    /// this would to the next one, which begins at once.
    pub(crate) async fn yield_to_rivals(&self) {
        if self.has_rivals {
            let pause = Duration::from_millis(fastrand::u64(0..=MAX_TURN_PAUSE_MS));
            tokio::time::sleep(pause).await;
        }
    }

    /// Takes over the patches of those who wait next and may share a write, at most `limit`.
    pub(crate) fn take_followers(&mut self, schema: &'static Schema, limit: usize) -> (Vec<Patch>, Vec<Follower>) {
        let mut queues = self.queues.lock();
        let (mut patches, mut followers) = (Vec::new(), Vec::new());
        let Some(queue) = queues.by_key.get_mut(&self.key) else {
            return (patches, followers);
        };
        let is_next = |waiting: &Waiting| waiting.may_share && std::ptr::eq(waiting.patch.schema, schema);
        while patches.len() < limit
            && queue.front().is_some_and(is_next)
            && let Some(Waiting {
                patch, loaded, turn, ..
            }) = queue.pop_front()
        {
            // Whoever waits no longer has sent nothing.
            if !turn.is_closed() {
                patches.push(*patch);
                followers.push(Follower { loaded, turn });
            }
        }
        (patches, followers)
    }
}

impl Drop for WriteGuard {
    fn drop(&mut self) {
        let next = {
            let mut queues = self.queues.lock();
            let next = queues.by_key.get_mut(&self.key).and_then(VecDeque::pop_front);
            if next.is_none() {
                queues.by_key.remove(&self.key);
            }
            next
        };
        if let Some(Waiting {
            patch, loaded, turn, ..
        }) = next
        {
            let (key, latest) = (Arc::clone(&self.key), self.latest.take());
            let guard = self.queues.guard(key, latest, self.has_rivals);
            // Where it waits no longer, the guard comes back, and goes on to the next as it is dropped.
            drop(turn.send(Turn::Write(guard, patch, loaded)));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_turn_waits_only_where_another_process_has_written() {
        let queues = Arc::new(WriteQueues::default());
        let mut guard = queues.guard("key".into(), None, false);
        let began = Instant::now();
        guard.hand_over(None, false);
        guard.yield_to_rivals().await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        guard.hand_over(None, true);
        guard.hand_over(None, false);
        for _ in 0..100 {
            guard.yield_to_rivals().await;
        }
        let each = began.elapsed() / 100;
        assert!((5..20).contains(&each.as_millis()), "{each:?}");
    }
}
