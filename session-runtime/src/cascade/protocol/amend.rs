use super::{Action, Event, Item, Machine, Step};
use crate::session::meta::Millis;
use crate::tier::{Swap, Token, Version, Write};

/// How many writes are tried before the record counts as too contended.
const MAX_ATTEMPTS: u32 = 64;

/// What is done to a record that is never merged: each attempt begins with what is stored.
pub trait Amendment<R> {
    /// Why it cannot be made.
    type Error;

    /// The record that is to replace this one, `None` where there is none yet; `Ok(None)` where nothing is to be written.
    ///
    /// To make it twice must do no more than to make it once: a write without an answer may have been applied.
    fn amend(&mut self, current: Option<&R>) -> Result<Option<R>, Self::Error>;
}

impl<R, A: Amendment<R>> Amendment<R> for &mut A {
    type Error = A::Error;

    fn amend(&mut self, current: Option<&R>) -> Result<Option<R>, A::Error> {
        (**self).amend(current)
    }
}

/// Changes a record in the tier that orders writers: the durable one, or the cache where there is no other.
///
/// Reads it, makes the amendment, and replaces exactly what was read. After a conflict, and without an answer, all of it
/// again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Amend<A> {
    amendment: A,
    is_cache_only: bool,
    attempts: u32,
    /// Whether a write was not answered: it may have been applied, or may still be.
    is_unknown: bool,
    is_writing: bool,
}

/// How an [`Amend`] ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AmendEnd<E> {
    /// The record contains the amendment.
    Done,
    /// The amendment cannot be made.
    Refused(E),
    /// Others wrote first, in every attempt.
    Contended,
    /// The tier could not be reached; nothing was written.
    Unavailable,
    /// The amendment may have been written, or may still be.
    Unknown,
    /// The record is too large for the tier; nothing was written.
    TooLarge,
}

impl<A> Amend<A> {
    /// Makes `amendment`, in the cache where that is the only tier.
    pub fn new(amendment: A, is_cache_only: bool) -> Self {
        Self {
            amendment,
            is_cache_only,
            attempts: 0,
            is_unknown: false,
            is_writing: false,
        }
    }

    /// The amendment, with what its last attempt has found.
    pub fn amendment(&self) -> &A {
        &self.amendment
    }

    fn read<R, E>(&mut self) -> Step<R, AmendEnd<E>> {
        if self.attempts == MAX_ATTEMPTS {
            return self.end(AmendEnd::Contended);
        }
        self.is_writing = false;
        let action = if self.is_cache_only { Action::Get } else { Action::Read };
        if self.attempts == 0 {
            Step::Do(action)
        } else {
            Step::Retry(self.attempts, action)
        }
    }

    fn write<R>(&mut self, current: Option<&R>, base: &Base, now: Millis) -> Step<R, AmendEnd<A::Error>>
    where
        A: Amendment<R>,
    {
        let record = match self.amendment.amend(current) {
            Ok(Some(record)) => record,
            // What was sent before, and may yet be applied, would write the same.
            Ok(None) => return Step::End(AmendEnd::Done),
            Err(error) => return self.end(AmendEnd::Refused(error)),
        };
        self.attempts += 1;
        self.is_writing = true;
        let item = |record| Item::Value {
            version: Version(0),
            asked_at: now,
            record,
        };
        Step::Do(match base {
            Base::Cached(Some(token)) => Action::Swap(*token, item(record)),
            Base::Cached(None) => Action::Add(item(record)),
            Base::Durable(Some(version)) => Action::Update(*version, record),
            Base::Durable(None) => Action::Insert(record),
        })
    }

    fn end<R, E>(&self, end: AmendEnd<E>) -> Step<R, AmendEnd<E>> {
        Step::End(if self.is_unknown { AmendEnd::Unknown } else { end })
    }
}

/// What exactly a write replaces; `None` where there is nothing yet.
enum Base {
    Durable(Option<Version>),
    Cached(Option<Token>),
}

impl<R, A: Amendment<R>> Machine<R> for Amend<A> {
    type End = AmendEnd<A::Error>;

    fn begin(&mut self, _: Millis) -> Step<R, AmendEnd<A::Error>> {
        self.read()
    }

    fn on(&mut self, event: Event<R>, now: Millis) -> Step<R, AmendEnd<A::Error>> {
        match (self.is_writing, event) {
            (false, Event::Found(Some((version, record)))) => {
                self.write(Some(&record), &Base::Durable(Some(version)), now)
            }
            (false, Event::Found(None)) => self.write(None, &Base::Durable(None), now),
            (false, Event::Got(Some((Item::Value { record, .. }, token)))) => {
                self.write(Some(&record), &Base::Cached(Some(token)), now)
            }
            (false, Event::Got(None)) => self.write(None, &Base::Cached(None), now),
            (true, Event::Wrote(Write::Done(_)) | Event::Added(true) | Event::Swapped(Swap::Done)) => {
                Step::End(AmendEnd::Done)
            }
            (true, Event::Wrote(_) | Event::Added(false) | Event::Swapped(_)) => self.read(),
            (true, Event::DurableUnknown | Event::CacheUnknown) => {
                self.is_unknown = true;
                self.read()
            }
            (true, Event::DurableFull | Event::CacheFull) => self.end(AmendEnd::TooLarge),
            _ => self.end(AmendEnd::Unavailable),
        }
    }
}
