use super::{Action, CacheRef, Change, Event, Item, Machine, Settle, SettleOutcome, Step};
use crate::session::meta::{Millis, Nonce};
use crate::tier::{Swap, Version, Write};

/// How often a durable write is tried before the session counts as too contended.
const MAX_ATTEMPTS: u32 = 64;

/// What is to become of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Goal {
    /// The change is made.
    Change,
    /// The record is deleted.
    Destroy,
}

/// Writes or destroys a session that was loaded.
///
/// 1. Fence the cache; after a load that hit, over exactly the value that was loaded.
/// 2. Compare-and-swap in the durable tier. On a conflict: read, merge, **fence again**, try again. On silence: read,
///    and look for the change in the record.
/// 3. [`Settle`] the cache, and only then end: show what was written, if it surely landed behind the fence that is up,
///    and hide whatever is there if not. If the first write failed for certain, what its fence hid is put back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DurableCommit<R, C> {
    goal: Goal,
    change: C,
    fence: Nonce,
    cache: bool,
    /// The value in the cache that the first fence replaces; `None` once that failed.
    hidden: Option<(CacheRef, R)>,
    /// What the next durable write starts from.
    base: Version,
    /// What it writes.
    record: R,
    attempts: u32,
    /// Whether every fence so far is known to have been put up.
    fenced: bool,
    /// The first attempt whose durable write may have landed, or may yet.
    unknown: Option<u32>,
    asked_at: Millis,
    state: State<R>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State<R> {
    Fencing,
    Writing,
    Reading,
    /// The durable tier has answered; what is left is the cache.
    Settling(Settle<R>, DurableOutcome<R>),
}

/// What the durable tier said in the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum DurableOutcome<R> {
    Changed(Version, R),
    Destroyed,
    Gone,
    Unavailable,
    TooLarge,
}

/// What a [`DurableCommit`] or [`CacheCommit`](super::CacheCommit) comes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CommitEnd<R, E> {
    /// The change is in the record, as it is now.
    Changed {
        /// The version that the record has now.
        version: Version,
        /// The record.
        record: R,
        /// Whether every fence went up.
        fenced: bool,
        /// Whether the cache was settled.
        settled: bool,
    },
    /// The record is gone, as was asked.
    Destroyed {
        /// Whether every fence went up.
        fenced: bool,
        /// Whether the cache was settled.
        settled: bool,
    },
    /// It was not done.
    Failed(Failure<E>),
}

/// Why a commit was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure<E> {
    /// The session was destroyed, or has forgotten this request's secret.
    Gone,
    /// The change cannot be made on top of what others wrote.
    Refused(E),
    /// Others wrote first, too often.
    Contended,
    /// The tier could not be reached; nothing was written.
    Unavailable,
    /// It may have been done, or may yet be.
    Unknown,
    /// The record is larger than the tier takes; nothing was written.
    TooLarge,
}

impl<R: Clone, C: Change<R>> DurableCommit<R, C> {
    /// Commits `change` to the record that was loaded at version `base`; `record` is that record with the change made.
    /// `fence` is a fresh random number; `cache` tells whether there is a cache.
    pub fn new(goal: Goal, change: C, base: Version, record: R, cache: bool, fence: Nonce) -> Self {
        Self {
            goal,
            change,
            fence,
            cache,
            hidden: None,
            base,
            record,
            attempts: 0,
            fenced: true,
            unknown: None,
            asked_at: Millis::default(),
            state: State::Fencing,
        }
    }

    /// Tells that `loaded` is the record as it was loaded, in this place of the cache.
    #[must_use]
    pub fn replacing(mut self, cached: CacheRef, loaded: R) -> Self {
        self.hidden = Some((cached, loaded));
        self
    }

    fn fence(&mut self, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        if self.attempts == MAX_ATTEMPTS {
            return Self::fail(if self.unknown.is_some() {
                Failure::Unknown
            } else {
                Failure::Contended
            });
        }
        self.attempts += 1;
        if !self.cache {
            return self.again(|this| this.write(now));
        }
        self.state = State::Fencing;
        self.again(|this| match &this.hidden {
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
                self.hidden = None;
                self.state = State::Fencing;
                return Step::Do(Action::Set(self.item(None)));
            }
            _ => {
                self.hidden = None;
                self.fenced = false;
            }
        }
        Step::Do(self.write(now))
    }

    /// The first try goes out at once, any other after a pause.
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
        self.hidden = None;
        self.state = State::Reading;
        self.asked_at = now;
        Step::Do(Action::Read)
    }

    fn wrote(&mut self, write: Write, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        match (write, self.goal) {
            (Write::Done(version), Goal::Change) => {
                // It was this very write, whatever became of those before.
                self.unknown = None;
                self.changed(version, self.record.clone(), now)
            }
            (Write::Done(_) | Write::Missing, Goal::Destroy) => self.destroyed(now),
            (Write::Missing, Goal::Change) => self.gone(now),
            (Write::Conflict, _) => self.read(now),
        }
    }

    /// The record as it is now, after a conflict or a silence.
    fn found(&mut self, version: Version, theirs: R, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        if self.goal == Goal::Destroy {
            if !self.change.may_destroy(&theirs) {
                return Self::fail(Failure::Gone);
            }
            self.rebase(version);
            return self.fence(now);
        }
        match self.change.was_applied(&theirs) {
            Some(true) => return self.changed(version, theirs, now),
            None if self.unknown.is_some() => return Self::fail(Failure::Unknown),
            Some(false) | None => {}
        }
        if version != self.base {
            self.record = match self.change.apply(&theirs) {
                Ok(merged) => merged,
                Err(error) => return Self::fail(Failure::Refused(error)),
            };
        }
        self.rebase(version);
        self.fence(now)
    }

    fn rebase(&mut self, version: Version) {
        if version != self.base {
            self.base = version;
            // What was sent on the old base can no longer land.
            self.unknown = None;
        }
    }

    /// Whether what landed did so behind the fence that is up, and not behind one before it.
    fn is_exact(&self) -> bool {
        self.fenced && self.unknown.is_none_or(|attempt| attempt == self.attempts)
    }

    fn changed(&mut self, version: Version, record: R, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        self.settle(DurableOutcome::Changed(version, record), now)
    }

    fn destroyed(&mut self, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        self.settle(DurableOutcome::Destroyed, now)
    }

    fn gone(&mut self, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        self.settle(DurableOutcome::Gone, now)
    }

    fn settle(&mut self, outcome: DurableOutcome<R>, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        if !self.cache {
            return Step::End(self.end(outcome, true));
        }
        let mut settle = match (&outcome, self.hidden.take()) {
            (DurableOutcome::Changed(version, record), _) if self.is_exact() => {
                Settle::publish(self.fence, *version, self.asked_at, record.clone())
            }
            (DurableOutcome::Changed(..), _) => Settle::hide(self.fence),
            (DurableOutcome::Destroyed | DurableOutcome::Gone, _) => Settle::tombstone(),
            (DurableOutcome::Unavailable | DurableOutcome::TooLarge, Some((cached, loaded))) => {
                Settle::put_back(self.fence, self.base, cached.asked_at, loaded)
            }
            // The fence stays: it hides what may yet land, and another writer's fence may have been under it.
            (DurableOutcome::Unavailable | DurableOutcome::TooLarge, None) => {
                return Step::End(self.end(outcome, true));
            }
        };
        let step = settle.begin(now);
        self.settling(settle, outcome, step)
    }

    fn settling(
        &mut self,
        settle: Settle<R>,
        outcome: DurableOutcome<R>,
        step: Step<R, SettleOutcome>,
    ) -> Step<R, CommitEnd<R, C::Error>> {
        let step = match step {
            Step::End(fenced) => return Step::End(self.end(outcome, fenced == SettleOutcome::Settled)),
            Step::Do(action) => Step::Do(action),
            Step::Retry(attempt, action) => Step::Retry(attempt, action),
        };
        self.state = State::Settling(settle, outcome);
        step
    }

    fn end(&self, outcome: DurableOutcome<R>, settled: bool) -> CommitEnd<R, C::Error> {
        let fenced = self.fenced;
        match outcome {
            DurableOutcome::Changed(version, record) => CommitEnd::Changed {
                version,
                record,
                fenced,
                settled,
            },
            DurableOutcome::Destroyed => CommitEnd::Destroyed { fenced, settled },
            DurableOutcome::Gone => CommitEnd::Failed(Failure::Gone),
            DurableOutcome::Unavailable => CommitEnd::Failed(Failure::Unavailable),
            DurableOutcome::TooLarge => CommitEnd::Failed(Failure::TooLarge),
        }
    }

    /// The fence stays: it hides what may yet land, and another writer's fence may have been under it.
    fn fail(failure: Failure<C::Error>) -> Step<R, CommitEnd<R, C::Error>> {
        Step::End(CommitEnd::Failed(failure))
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
            (State::Writing, Event::DurableFull) if self.unknown.is_none() => {
                self.settle(DurableOutcome::TooLarge, now)
            }
            (State::Writing | State::Reading, _) if self.unknown.is_some() => Self::fail(Failure::Unknown),
            (State::Writing | State::Reading, _) => self.settle(DurableOutcome::Unavailable, now),
        }
    }
}
