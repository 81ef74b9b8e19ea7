use super::{Action, CacheRef, Change, CommitEnd, Event, Failure, Item, Machine, Settle, SettleOutcome, Step};
use crate::session::meta::{Millis, Nonce};
use crate::tier::{Swap, Token, Version, Write};

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
///
/// An ordinary change after a load that hit [needs no fence](Self::without_fence) at first. If its write was applied, it
/// swaps exactly the value that was loaded for the new one, and only then ends. If that value is no longer there, it
/// removes what is or may become older. If the write was not applied, or that is unknown, it goes on as above.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DurableCommit<R, C: Change<R>> {
    goal: Goal,
    change: C,
    fence: Nonce,
    cache: bool,
    loaded: Loaded<R>,
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

/// The cached value that was loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Loaded<R> {
    /// Until the first write has ended there is no fence, and readers see the value.
    Visible(Token),
    /// The first fence replaces it. If nothing is written, it can be restored.
    Fenced(CacheRef, R),
    /// There was none, or others may have written since.
    None,
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

impl<R: Clone, C: Change<R>> DurableCommit<R, C> {
    /// Commits `change` to the record that was loaded at version `base`; `record` is that record with the change applied.
    /// `fence` is a fresh nonce; `cache` tells whether there is a cache.
    pub fn new(goal: Goal, change: C, base: Version, record: R, cache: bool, fence: Nonce) -> Self {
        Self {
            goal,
            change,
            fence,
            cache,
            loaded: Loaded::None,
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
        self.loaded = Loaded::Fenced(cached, loaded);
        self
    }

    /// Has the first write go without a fence. The record was loaded from the cached value `token`.
    ///
    /// A writer that ends before it has settled the cache leaves the old value there until that is too old. So what must
    /// not be seen any more once it is written is for the way with a fence: a destroyed session, a superseded secret.
    #[must_use]
    pub fn without_fence(mut self, token: Token) -> Self {
        self.loaded = Loaded::Visible(token);
        self
    }

    /// The change.
    pub fn change(&self) -> &C {
        &self.change
    }

    /// What has yet to be done to the cache where the commit is given up before its end, at whatever step: the cache may show
    /// a record that was replaced, or that may yet be.
    pub fn unsettled(&self) -> Option<Settle<R>> {
        let is_visible = !self.fenced || matches!(self.loaded, Loaded::Visible(_));
        match &self.state {
            _ if !self.cache => None,
            State::Settling(settle, DurableOutcome::Changed(..) | DurableOutcome::Destroyed) => Some(settle.clone()),
            State::Writing if is_visible => Some(Settle::hide(self.fence)),
            _ => self.unknown.map(|_| Settle::hide(self.fence)),
        }
    }

    fn fence(&mut self, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        if self.attempts == MAX_ATTEMPTS {
            return self.fail(Failure::Contended, now);
        }
        self.attempts += 1;
        // Without a pause, also after a conflict: whoever has just lost has a read and a fence ahead of it, and a pause
        // besides would let the same others win again and again.
        if !self.cache {
            return Step::Do(self.write(now));
        }
        self.state = State::Fencing;
        Step::Do(match &self.loaded {
            Loaded::Fenced(cached, _) => Action::Swap(cached.token, self.item(Some(self.base))),
            Loaded::Visible(_) | Loaded::None => {
                self.loaded = Loaded::None;
                Action::Set(self.item(None))
            }
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
                self.loaded = Loaded::None;
                self.state = State::Fencing;
                return Step::Do(Action::Set(self.item(None)));
            }
            _ => {
                self.loaded = Loaded::None;
                self.fenced = false;
            }
        }
        Step::Do(self.write(now))
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
        if let Loaded::Fenced(..) = self.loaded {
            self.loaded = Loaded::None;
        }
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
        let settle = match self.loaded {
            Loaded::Visible(token) => Settle::replace(token, self.fence, version, self.asked_at, record.clone()),
            _ if self.is_fence_current() => Settle::publish(self.fence, version, self.asked_at, record.clone()),
            _ => Settle::hide(self.fence),
        };
        self.settle(settle, DurableOutcome::Changed(version, record), now)
    }

    fn destroyed(&mut self, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        self.settle(Settle::tombstone(), DurableOutcome::Destroyed, now)
    }

    fn gone(&mut self, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        self.settle(Settle::tombstone(), DurableOutcome::Failed(Failure::Gone), now)
    }

    /// Ends without a write. Where one may still be applied, the outcome is unknown, and a fence stays.
    fn fail(&mut self, failure: Failure<C::Error>, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        let is_unknown = self.unknown.is_some();
        let failure = if is_unknown { Failure::Unknown } else { failure };
        let settle = match std::mem::replace(&mut self.loaded, Loaded::None) {
            Loaded::Visible(_) if is_unknown => Settle::hide(self.fence),
            _ if is_unknown => {
                return self.end(
                    DurableOutcome::Failed(failure),
                    (!self.fenced).then(|| Settle::hide(self.fence)),
                );
            }
            // Others have written since, and may have crashed before they could settle the cache.
            Loaded::Visible(token) if matches!(failure, Failure::Refused(_)) => Settle::discard(token),
            Loaded::Visible(_) => return self.end(DurableOutcome::Failed(failure), None),
            Loaded::Fenced(cached, loaded) => Settle::restore(self.fence, self.base, cached.asked_at, loaded),
            Loaded::None => Settle::remove(self.fence),
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
            return self.end(outcome, None);
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
            Step::End(SettleOutcome::Settled) => return self.end(outcome, None),
            Step::End(SettleOutcome::Unsettled) => return self.end(outcome, Some(settle)),
            Step::Do(action) => Step::Do(action),
            Step::Retry(attempt, action) => Step::Retry(attempt, action),
        };
        self.state = State::Settling(settle, outcome);
        step
    }

    fn end(
        &self,
        outcome: DurableOutcome<R, C::Error>,
        unsettled: Option<Settle<R>>,
    ) -> Step<R, CommitEnd<R, C::Error>> {
        let fenced = self.fenced;
        Step::End(match outcome {
            DurableOutcome::Changed(version, record) => CommitEnd::Changed {
                version,
                record,
                fenced,
                unsettled,
            },
            DurableOutcome::Destroyed => CommitEnd::Destroyed { fenced, unsettled },
            DurableOutcome::Failed(failure @ Failure::Unknown) => CommitEnd::Failed { failure, unsettled },
            // Nothing older than what the durable tier has became visible: at worst, a fence stays until it expires.
            DurableOutcome::Failed(failure) => CommitEnd::Failed {
                failure,
                unsettled: None,
            },
        })
    }
}

impl<R: Clone, C: Change<R>> Machine<R> for DurableCommit<R, C> {
    type End = CommitEnd<R, C::Error>;

    fn begin(&mut self, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        if let Loaded::Visible(_) = self.loaded {
            self.attempts = 1;
            return Step::Do(self.write(now));
        }
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
