use super::{Action, CacheRef, Change, Event, Item, Machine, Settle, SettleOutcome, Step};
use crate::session::meta::{Millis, Nonce};
use crate::tier::{Swap, Version, Write};

/// How many durable writes are tried before the session counts as too contended.
const MAX_ATTEMPTS: u32 = 64;

/// What a commit does to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Goal {
    /// Applies the change.
    Change,
    /// Deletes the record.
    Destroy,
}

/// Changes or destroys a session that was loaded.
///
/// 1. Fence the cache. After a load that hit, swap exactly the value that was loaded for the fence.
/// 2. Compare-and-swap in the durable tier. After a conflict: read, merge, **fence again**, try again. Without an
///    answer: read, and check whether the record contains the change.
/// 3. [`Settle`] the cache, and only then end. Publish the record if its write was certainly applied while the current
///    fence was in place; otherwise hide whatever is cached. If nothing was written, for certain, withdraw the fence:
///    restore the value that it replaced, or remove it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DurableCommit<R, C: Change<R>> {
    goal: Goal,
    change: C,
    fence: Nonce,
    cache: bool,
    /// The cached value that the first fence replaces; `None` once it cannot be restored.
    replaced: Option<(CacheRef, R)>,
    /// The version that the next durable write is based on.
    base: Version,
    /// The record that it writes.
    record: R,
    attempts: u32,
    /// Whether every fence so far was certainly stored.
    fenced: bool,
    /// The first attempt whose durable write was not answered: it may have been applied, or may still be.
    unknown: Option<u32>,
    asked_at: Millis,
    state: State<R, C::Error>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State<R, E> {
    Fencing,
    Writing,
    Reading,
    /// The outcome in the durable tier is known; the cache is being settled.
    Settling(Settle<R>, DurableOutcome<R, E>),
}

/// The outcome in the durable tier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum DurableOutcome<R, E> {
    Changed(Version, R),
    Destroyed,
    /// Nothing was written, nor will be.
    Failed(Failure<E>),
}

/// How a [`DurableCommit`] or [`CacheCommit`](super::CacheCommit) ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CommitEnd<R, E> {
    /// The record contains the change.
    Changed {
        /// The record's version.
        version: Version,
        /// The record.
        record: R,
        /// Whether every fence was stored.
        fenced: bool,
        /// Whether the cache was settled.
        settled: bool,
    },
    /// The record was deleted.
    Destroyed {
        /// Whether every fence was stored.
        fenced: bool,
        /// Whether the cache was settled.
        settled: bool,
    },
    /// The commit failed.
    Failed(Failure<E>),
}

/// Why a commit failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure<E> {
    /// The session was destroyed, or no longer accepts this request's secret.
    Gone,
    /// The change cannot be merged with what others wrote.
    Refused(E),
    /// Other requests wrote first, in every attempt.
    Contended,
    /// The tier could not be reached; nothing was written.
    Unavailable,
    /// The change may have been written, or may still be.
    Unknown,
    /// The record is too large for the tier; nothing was written.
    TooLarge,
}

impl<R: Clone, C: Change<R>> DurableCommit<R, C> {
    /// Commits `change` to the record that was loaded at version `base`; `record` is that record with the change applied.
    /// `fence` is a fresh nonce; `cache` tells whether there is a cache.
    pub fn new(goal: Goal, change: C, base: Version, record: R, cache: bool, fence: Nonce) -> Self {
        Self {
            goal,
            change,
            fence,
            cache,
            replaced: None,
            base,
            record,
            attempts: 0,
            fenced: true,
            unknown: None,
            asked_at: Millis::default(),
            state: State::Fencing,
        }
    }

    /// Has the first fence replace exactly the cached value `cached`, whose record is `loaded`.
    #[must_use]
    pub fn replacing(mut self, cached: CacheRef, loaded: R) -> Self {
        self.replaced = Some((cached, loaded));
        self
    }

    fn fence(&mut self, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        if self.attempts == MAX_ATTEMPTS {
            return self.fail(Failure::Contended, now);
        }
        self.attempts += 1;
        if !self.cache {
            return self.again(|this| this.write(now));
        }
        self.state = State::Fencing;
        self.again(|this| match &this.replaced {
            Some((cached, _)) => Action::Swap(cached.token, this.item(Some(this.base))),
            None => Action::Set(this.item(None)),
        })
    }

    fn item(&self, replaced_version: Option<Version>) -> Item<R> {
        Item::Fence {
            writer: self.fence,
            replaced_version,
        }
    }

    fn fenced(&mut self, event: &Event<R>, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        match event {
            Event::Swapped(Swap::Done) | Event::WasSet => {}
            Event::Swapped(_) => {
                self.replaced = None;
                self.state = State::Fencing;
                return Step::Do(Action::Set(self.item(None)));
            }
            _ => {
                self.replaced = None;
                self.fenced = false;
            }
        }
        Step::Do(self.write(now))
    }

    /// The first attempt is made at once, any other after a pause.
    fn again(&mut self, action: impl FnOnce(&mut Self) -> Action<R>) -> Step<R, CommitEnd<R, C::Error>> {
        let action = action(self);
        if self.attempts == 1 {
            Step::Do(action)
        } else {
            Step::Retry(self.attempts - 1, action)
        }
    }

    fn write(&mut self, now: Millis) -> Action<R> {
        self.state = State::Writing;
        self.asked_at = now;
        match self.goal {
            Goal::Change => Action::Update(self.base, self.record.clone()),
            Goal::Destroy => Action::Delete(self.base),
        }
    }

    fn read(&mut self, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        self.replaced = None;
        self.state = State::Reading;
        self.asked_at = now;
        Step::Do(Action::Read)
    }

    fn wrote(&mut self, write: Write, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        match (write, self.goal) {
            (Write::Done(version), Goal::Change) => {
                // This write was applied, and so none of those before it.
                self.unknown = None;
                self.changed(version, self.record.clone(), now)
            }
            (Write::Done(_) | Write::Missing, Goal::Destroy) => self.destroyed(now),
            (Write::Missing, Goal::Change) => self.gone(now),
            (Write::Conflict, _) => self.read(now),
        }
    }

    /// Goes on from the current record, after a conflict or without an answer.
    fn found(&mut self, version: Version, theirs: R, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        if self.goal == Goal::Change {
            match self.change.was_applied(&theirs) {
                Some(true) => return self.changed(version, theirs, now),
                None if self.unknown.is_some() => return self.fail(Failure::Unknown, now),
                Some(false) | None => {}
            }
        }
        if version != self.base {
            self.base = version;
            // A write that was sent on the old base can no longer be applied.
            self.unknown = None;
            if self.goal == Goal::Change {
                self.record = match self.change.apply(&theirs) {
                    Ok(merged) => merged,
                    Err(error) => return self.fail(Failure::Refused(error), now),
                };
            }
        }
        if self.goal == Goal::Destroy && !self.change.may_destroy(&theirs) {
            return self.fail(Failure::Gone, now);
        }
        self.fence(now)
    }

    /// Whether the write was certainly applied while the current fence was in place, and not an earlier one.
    fn is_fence_current(&self) -> bool {
        self.fenced && self.unknown.is_none_or(|attempt| attempt == self.attempts)
    }

    fn changed(&mut self, version: Version, record: R, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        let settle = if self.is_fence_current() {
            Settle::publish(self.fence, version, self.asked_at, record.clone())
        } else {
            Settle::hide(self.fence)
        };
        self.settle(settle, DurableOutcome::Changed(version, record), now)
    }

    fn destroyed(&mut self, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        self.settle(Settle::tombstone(), DurableOutcome::Destroyed, now)
    }

    fn gone(&mut self, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        self.settle(Settle::tombstone(), DurableOutcome::Failed(Failure::Gone), now)
    }

    /// Ends without a write. Where one may still be applied, the outcome is unknown, and the fence stays.
    fn fail(&mut self, failure: Failure<C::Error>, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        if self.unknown.is_some() {
            return Step::End(CommitEnd::Failed(Failure::Unknown));
        }
        let settle = match self.replaced.take() {
            Some((cached, loaded)) => Settle::restore(self.fence, self.base, cached.asked_at, loaded),
            None => Settle::remove(self.fence),
        };
        self.settle(settle, DurableOutcome::Failed(failure), now)
    }

    fn settle(
        &mut self,
        mut settle: Settle<R>,
        outcome: DurableOutcome<R, C::Error>,
        now: Millis,
    ) -> Step<R, CommitEnd<R, C::Error>> {
        if !self.cache {
            return Step::End(self.end(outcome, true));
        }
        let step = settle.begin(now);
        self.settling(settle, outcome, step)
    }

    fn settling(
        &mut self,
        settle: Settle<R>,
        outcome: DurableOutcome<R, C::Error>,
        step: Step<R, SettleOutcome>,
    ) -> Step<R, CommitEnd<R, C::Error>> {
        let step = match step {
            Step::End(end) => return Step::End(self.end(outcome, end == SettleOutcome::Settled)),
            Step::Do(action) => Step::Do(action),
            Step::Retry(attempt, action) => Step::Retry(attempt, action),
        };
        self.state = State::Settling(settle, outcome);
        step
    }

    fn end(&self, outcome: DurableOutcome<R, C::Error>, settled: bool) -> CommitEnd<R, C::Error> {
        let fenced = self.fenced;
        match outcome {
            DurableOutcome::Changed(version, record) => CommitEnd::Changed {
                version,
                record,
                fenced,
                settled,
            },
            DurableOutcome::Destroyed => CommitEnd::Destroyed { fenced, settled },
            DurableOutcome::Failed(failure) => CommitEnd::Failed(failure),
        }
    }
}

impl<R: Clone, C: Change<R>> Machine<R> for DurableCommit<R, C> {
    type End = CommitEnd<R, C::Error>;

    fn begin(&mut self, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        self.fence(now)
    }

    fn on(&mut self, event: Event<R>, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        match (std::mem::replace(&mut self.state, State::Reading), event) {
            (State::Fencing, event) => self.fenced(&event, now),
            (State::Writing, Event::Wrote(write)) => self.wrote(write, now),
            (State::Writing, Event::DurableUnknown) => {
                self.unknown.get_or_insert(self.attempts);
                self.read(now)
            }
            (State::Reading, Event::Found(Some((version, theirs)))) => self.found(version, theirs, now),
            (State::Reading, Event::Found(None)) => match self.goal {
                Goal::Change => self.gone(now),
                Goal::Destroy => self.destroyed(now),
            },
            (State::Settling(mut settle, outcome), event) => {
                let step = settle.on(event, now);
                self.settling(settle, outcome, step)
            }
            (State::Writing, Event::DurableFull) => self.fail(Failure::TooLarge, now),
            (State::Writing | State::Reading, _) => self.fail(Failure::Unavailable, now),
        }
    }
}
