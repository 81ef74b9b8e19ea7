//! The protocol of `#[cascade(memcache)]`: the cache is the authority, and a session that it evicts is lost.

use super::{
    Action, CacheRef, Change, CommitEnd, CreateEnd, Event, Failure, Goal, Item, LoadEnd, Machine, Source, Step,
    VersionedRecord,
};
use crate::session::meta::Millis;
use crate::tier::{Swap, Token, Version};

/// How many swaps are tried before the session counts as too contended.
const MAX_ATTEMPTS: u32 = 64;

/// Loads a session from the cache only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CacheLoad;

impl<R> Machine<R> for CacheLoad {
    type End = LoadEnd<R>;
    const IS_CACHE_ONLY: bool = true;

    fn begin(&mut self, _: Millis) -> Step<R, LoadEnd<R>> {
        Step::Do(Action::Get)
    }

    fn on(&mut self, event: Event<R>, _: Millis) -> Step<R, LoadEnd<R>> {
        let found = match event {
            Event::Got(Some((
                Item::Value {
                    version,
                    asked_at,
                    record,
                },
                token,
            ))) => Some(VersionedRecord {
                version,
                record,
                cached: Some(CacheRef { token, asked_at }),
            }),
            Event::Got(_) => None,
            _ => return Step::End(LoadEnd::Unavailable),
        };
        Step::End(LoadEnd::Known {
            found,
            source: Source::Cache,
            degraded: false,
            fill: None,
        })
    }
}

/// Creates a session in the cache only, under a key that is not in use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheCreate<R, C> {
    record: R,
    change: C,
    confirming: bool,
}

impl<R, C> CacheCreate<R, C> {
    /// `change` tells whether a record is the one that was added.
    pub fn new(record: R, change: C) -> Self {
        Self {
            record,
            change,
            confirming: false,
        }
    }
}

impl<R: Clone, C: Change<R>> Machine<R> for CacheCreate<R, C> {
    type End = CreateEnd;
    const IS_CACHE_ONLY: bool = true;

    fn begin(&mut self, now: Millis) -> Step<R, CreateEnd> {
        let version = C::version_of(&self.record);
        Step::Do(Action::Add(Item::Value {
            version,
            asked_at: now,
            record: self.record.clone(),
        }))
    }

    fn on(&mut self, event: Event<R>, _: Millis) -> Step<R, CreateEnd> {
        Step::End(match (self.confirming, event) {
            (false, Event::Added(true)) => done(C::version_of(&self.record)),
            (false, Event::CacheFull) => CreateEnd::TooLarge,
            (false, Event::CacheUnknown) => {
                self.confirming = true;
                return Step::Do(Action::Get);
            }
            (true, Event::Got(Some((Item::Value { version, record, .. }, _))))
                if self.change.was_applied(&record) == Some(true) =>
            {
                done(version)
            }
            (_, Event::CacheFailed) | (true, Event::CacheUnknown) => CreateEnd::Unavailable,
            _ => CreateEnd::StartOver { stored: None },
        })
    }
}

fn done(version: Version) -> CreateEnd {
    CreateEnd::Done {
        version,
        degraded: false,
    }
}

/// Changes or destroys a session that is in the cache only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheCommit<R, C> {
    goal: Goal,
    change: C,
    record: R,
    token: Option<Token>,
    attempts: u32,
    /// The token of a swap that was not answered: it may have been applied, or may still be.
    unknown: Option<Token>,
    swapping: bool,
}

impl<R: Clone, C: Change<R>> CacheCommit<R, C> {
    /// Commits `change` to the record that was loaded with `token`; `record` is that record with the change applied.
    /// Without a token it loads the record first.
    pub fn new(goal: Goal, change: C, record: R, token: Option<Token>) -> Self {
        Self {
            goal,
            change,
            record,
            token,
            attempts: 0,
            unknown: None,
            swapping: false,
        }
    }

    /// The change.
    pub fn change(&self) -> &C {
        &self.change
    }

    /// What the record is now decides about the next swap. Its old token names nothing any more.
    fn get(&mut self) -> Step<R, CommitEnd<R, C::Error>> {
        self.swapping = false;
        Step::Do(Action::Get)
    }

    fn got(&mut self, record: &R, token: Token, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        if self.goal == Goal::Change {
            match self.change.was_applied(record) {
                Some(true) => return changed::<R, C>(record.clone()),
                None if self.unknown.is_some() => return self.fail(Failure::Unknown),
                Some(false) | None => {}
            }
        }
        if self.unknown.is_some_and(|unknown| unknown != token) {
            // The swap that was sent with the old token can no longer be applied.
            self.unknown = None;
        }
        match self.goal {
            Goal::Change => match self.change.apply(record) {
                Ok(merged) => self.record = merged,
                Err(error) => return self.fail(Failure::Refused(error)),
            },
            Goal::Destroy if !self.change.may_destroy(record) => return self.fail(Failure::Gone),
            Goal::Destroy => {}
        }
        self.swap(token, now)
    }

    fn swap(&mut self, token: Token, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        if self.attempts == MAX_ATTEMPTS {
            return self.fail(Failure::Contended);
        }
        self.attempts += 1;
        self.swapping = true;
        self.token = Some(token);
        let item = match self.goal {
            Goal::Change => Item::Value {
                version: C::version_of(&self.record),
                asked_at: now,
                record: self.record.clone(),
            },
            Goal::Destroy => Item::Tombstone,
        };
        let action = Action::Swap(token, item);
        if self.attempts == 1 {
            Step::Do(action)
        } else {
            Step::Retry(self.attempts - 1, action)
        }
    }

    fn missing(&self) -> Step<R, CommitEnd<R, C::Error>> {
        match self.goal {
            Goal::Change => failed(Failure::Gone),
            Goal::Destroy => destroyed(),
        }
    }

    fn fail(&self, failure: Failure<C::Error>) -> Step<R, CommitEnd<R, C::Error>> {
        failed(if self.unknown.is_some() {
            Failure::Unknown
        } else {
            failure
        })
    }
}

fn failed<R, E>(failure: Failure<E>) -> Step<R, CommitEnd<R, E>> {
    Step::End(CommitEnd::Failed {
        failure,
        unsettled: None,
    })
}

fn destroyed<R, E>() -> Step<R, CommitEnd<R, E>> {
    Step::End(CommitEnd::Destroyed {
        fenced: true,
        unsettled: None,
    })
}

fn changed<R, C: Change<R>>(record: R) -> Step<R, CommitEnd<R, C::Error>> {
    Step::End(CommitEnd::Changed {
        version: C::version_of(&record),
        record,
        fenced: true,
        unsettled: None,
    })
}

impl<R: Clone, C: Change<R>> Machine<R> for CacheCommit<R, C> {
    type End = CommitEnd<R, C::Error>;
    const IS_CACHE_ONLY: bool = true;

    fn begin(&mut self, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        match self.token {
            Some(token) => self.swap(token, now),
            None => self.get(),
        }
    }

    fn on(&mut self, event: Event<R>, now: Millis) -> Step<R, CommitEnd<R, C::Error>> {
        match (self.swapping, event) {
            (false, Event::Got(Some((Item::Value { record, .. }, token)))) => self.got(&record, token, now),
            (false, Event::Got(_)) | (true, Event::Swapped(Swap::Missing)) => self.missing(),
            (true, Event::Swapped(Swap::Done)) => match self.goal {
                Goal::Change => changed::<R, C>(self.record.clone()),
                Goal::Destroy => destroyed(),
            },
            (true, Event::Swapped(Swap::Changed) | Event::CacheFailed) => self.get(),
            (true, Event::CacheUnknown) => {
                self.unknown = self.token;
                self.get()
            }
            (true, Event::CacheFull) => self.fail(Failure::TooLarge),
            _ => self.fail(Failure::Unavailable),
        }
    }
}
