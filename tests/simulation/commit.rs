//! Commits: writers of one node queue for a session, and one writes for those behind it, by the rules of the cascade's
//! `queue.rs`, `batch.rs` and `commit.rs`.

use std::collections::VecDeque;
use std::convert::Infallible;

use session_runtime::__private::cascade::protocol::{
    Change, CommitEnd, DurableCommit, Failure, Goal, Settle, VersionedRecord,
};
use session_runtime::__private::session::meta::Nonce;
use session_runtime::tier::Version;

use super::calendar::{MILLISECOND, Micros, SECOND, TaskId, What};
use super::record::{Edit, Shared};
use super::simulation::Simulation;
use super::task::{Kind, Stage, Task};

/// As the policy's default.
pub(super) const COMMIT_TIMEOUT: Micros = 30 * SECOND;
/// As the pause before a turn in the cascade's queue.
const MAX_TURN_PAUSE: Micros = 25 * MILLISECOND;
/// As `MAX_FOLLOWERS` of the cascade.
const MAX_FOLLOWERS: usize = 255;

type Stored = Option<VersionedRecord<Shared>>;

/// The writers of a session on a node that wait for the one whose turn it is.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: VecDeque<TaskId>,
    /// What the one before left.
    latest: Stored,
    /// Whether other nodes are known to write the session.
    pub(super) has_rivals: bool,
}

/// How a commit ended for those whose updates were in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Coherent,
    Degraded,
    Contended,
    /// The session has ended.
    Gone,
    Unavailable,
    Unknown,
}

impl Simulation {
    /// Waits for the other writers of the node.
    pub(super) fn enter(&mut self, id: TaskId, mut task: Task) {
        let now = self.world.calendar.now();
        task.update = self.check.update();
        task.commit_began = now;
        task.commit_ends = now + COMMIT_TIMEOUT;
        self.world.calendar.at(task.commit_ends, What::CommitEnds(id));
        if let Kind::Destroy(_) = task.kind {
            self.sessions.get(task.session).is_leaving = true;
        }
        if let Some(queue) = self.queues.get_mut(&task.key()) {
            queue.waiting.push_back(id);
            task.stage = Stage::Queued;
            self.tasks.insert(id, task);
            self.world.calendar.after(COMMIT_TIMEOUT / 2, What::PatienceEnds(id));
            return;
        }
        self.queues.insert(task.key(), Queue::default());
        self.write(id, task);
    }

    /// Writes, from what the writer before has stored, and with those behind.
    fn write(&mut self, id: TaskId, mut task: Task) {
        let Some(mut loaded) = task.loaded.take() else { return };
        let latest = self.queues.get(&task.key()).and_then(|queue| queue.latest.clone());
        let newest = latest.as_ref().map(|latest| latest.version);
        if let Some(latest) = latest.filter(|latest| latest.version > loaded.version) {
            loaded = latest;
            if task.kind == Kind::Read && !self.is_due_for_renewal(&loaded.record) {
                // The other has renewed it.
                self.next_turn(task.key(), None);
                return self.finish(&task, true);
            }
        }
        task.begins_with_latest = newest == Some(loaded.version);
        if let Some(queue) = self.queues.get_mut(&task.key()) {
            queue.has_rivals |= newest.is_some_and(|newest| newest < loaded.version);
        }
        let may_share = matches!(task.kind, Kind::Read | Kind::Change);
        let mut updates = vec![task.update];
        if may_share {
            task.followers = self.take_followers(task.key(), &mut updates);
        }
        if !task.followers.is_empty() {
            task.commit_ends = self.world.calendar.now() + COMMIT_TIMEOUT;
            self.world.calendar.at(task.commit_ends, What::CommitEnds(id));
        }
        let goal = match task.kind {
            Kind::Destroy(_) => Goal::Destroy,
            _ => Goal::Change,
        };
        let mut edit = Edit::new(updates, self.world.calendar.time_of_day());
        let base = loaded.record;
        let Ok(record) = edit.apply(&base);
        let fence = Nonce(self.world.rng.u64(..));
        let mut commit = DurableCommit::new(goal, edit, loaded.version, record, true, fence);
        if let Some(cached) = loaded.cached {
            commit = if may_share {
                commit.without_fence(cached.token)
            } else {
                commit.replacing(cached, base)
            };
        }
        task.stage = Stage::Commit(commit);
        self.advance(id, task, None);
    }

    /// Its turn has come, and those of other nodes have had a chance.
    pub(super) fn turn(&mut self, id: TaskId) {
        if let Some(task) = self.tasks.remove(&id) {
            self.write(id, task);
        }
    }

    fn take_followers(&mut self, key: (u16, u32), updates: &mut Vec<u32>) -> Vec<TaskId> {
        let mut followers = Vec::new();
        let Some(queue) = self.queues.get_mut(&key) else {
            return followers;
        };
        while followers.len() < MAX_FOLLOWERS
            && let Some(next) = queue.waiting.front()
            && let Some(task) = self.tasks.get_mut(next)
            && matches!(task.kind, Kind::Read | Kind::Change)
        {
            task.stage = Stage::Followed;
            updates.push(task.update);
            followers.push(*next);
            queue.waiting.pop_front();
        }
        followers
    }

    /// Hands the turn on; a writer that has ended leaves what it stored.
    fn next_turn(&mut self, key: (u16, u32), ended: Option<Stored>) {
        let Some(queue) = self.queues.get_mut(&key) else { return };
        if let Some(stored) = ended {
            queue.latest = stored;
        }
        let next = queue.waiting.pop_front();
        let has_rivals = queue.has_rivals;
        if let Some(id) = next
            && let Some(mut task) = self.tasks.remove(&id)
        {
            if has_rivals {
                task.stage = Stage::Idle;
                self.tasks.insert(id, task);
                let pause = self.world.rng.u64(0..=MAX_TURN_PAUSE);
                self.world.calendar.after(pause, What::Turn(id));
            } else {
                self.write(id, task);
            }
        } else {
            self.queues.remove(&key);
        }
    }

    pub(super) fn committed(&mut self, _: TaskId, task: Task, end: CommitEnd<Shared, Infallible>) {
        let told = |fenced, unsettled: &Option<Settle<Shared>>| {
            if fenced && unsettled.is_none() {
                Told::Coherent
            } else {
                Told::Degraded
            }
        };
        let (told, stored, unsettled) = match end {
            CommitEnd::Changed {
                version,
                record,
                fenced,
                unsettled,
            } => {
                let cached = None;
                let stored = VersionedRecord {
                    version,
                    record,
                    cached,
                };
                (told(fenced, &unsettled), Some(stored), unsettled)
            }
            CommitEnd::Destroyed { fenced, unsettled } => (told(fenced, &unsettled), None, unsettled),
            CommitEnd::Failed { failure, unsettled } => {
                let told = match failure {
                    Failure::Gone => Told::Gone,
                    Failure::Contended => Told::Contended,
                    Failure::Unavailable | Failure::TooLarge => Told::Unavailable,
                    Failure::Unknown => Told::Unknown,
                };
                (told, None, unsettled)
            }
        };
        if let Some(settle) = unsettled {
            self.repair(task.key(), settle);
        }
        let (key, version) = (task.key(), stored.as_ref().map(|stored| stored.version));
        self.tell_all(task, told, version);
        self.next_turn(key, Some(stored));
    }

    fn tell_all(&mut self, mut task: Task, told: Told, version: Option<Version>) {
        for follower in std::mem::take(&mut task.followers) {
            // It may wait no longer.
            if let Some(follower) = self.tasks.remove(&follower) {
                self.tell(&follower, told, version);
            }
        }
        self.tell(&task, told, version);
    }

    /// Tells a writer how its commit ended.
    pub(super) fn tell(&mut self, task: &Task, told: Told, version: Option<Version>) {
        let is_done = matches!(told, Told::Coherent | Told::Degraded);
        let is_answered = is_done || told == Told::Gone;
        self.report.commits += 1;
        let time = self.world.calendar.now() - task.commit_began;
        self.report.commit_times.add(is_answered.then_some(time));
        match told {
            Told::Coherent | Told::Gone => {}
            Told::Degraded => self.report.degraded += 1,
            Told::Contended => self.report.contended += 1,
            Told::Unavailable => self.report.unavailable += 1,
            Told::Unknown => self.report.unknown += 1,
        }
        let promised = &mut self.sessions.get(task.session).promised;
        if let Some(Version(version)) = version {
            promised.acknowledged = promised.acknowledged.max(version);
            if told == Told::Coherent {
                promised.coherent = promised.coherent.max(version);
            }
            self.check.acknowledged(task.session, task.update);
        } else if let (true, Kind::Destroy(rank)) = (is_done, task.kind) {
            promised.is_destroyed |= told == Told::Coherent;
            self.sessions.leaves(rank);
        } else {
            match told {
                Told::Contended | Told::Unavailable => self.check.refused(task.session, task.update),
                Told::Gone => self.check.gone(task.session, self.sessions.get(task.session)),
                Told::Coherent | Told::Degraded | Told::Unknown => {}
            }
        }
        self.finish(task, is_answered);
    }

    /// A writer has waited for its turn for long enough: nothing was sent.
    pub(super) fn patience_ends(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get(&id) else { return };
        if let Stage::Queued = task.stage {
            let key = task.key();
            if let Some(queue) = self.queues.get_mut(&key) {
                queue.waiting.retain(|waiting| *waiting != id);
            }
            if let Some(task) = self.tasks.remove(&id) {
                self.tell(&task, Told::Contended, None);
            }
        }
    }

    /// A commit has had its time: it is dropped, and what became of it is unknown.
    pub(super) fn commit_ends(&mut self, id: TaskId) {
        let now = self.world.calendar.now();
        let Some(task) = self.tasks.get(&id).filter(|task| task.commit_ends <= now) else {
            return;
        };
        let has_turn = matches!(task.stage, Stage::Commit(_) | Stage::Create(_));
        if !has_turn && !matches!(task.stage, Stage::Followed) {
            return;
        }
        let (key, holds_queue) = (task.key(), matches!(task.stage, Stage::Commit(_)));
        if let Some(task) = self.tasks.remove(&id) {
            self.tell_all(task, Told::Unknown, None);
        }
        if holds_queue {
            self.next_turn(key, None);
        }
    }
}
