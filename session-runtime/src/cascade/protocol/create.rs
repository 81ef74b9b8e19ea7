use super::{Action, Change, Event, Machine, Step};
use crate::session::meta::Millis;
use crate::tier::{Version, Write};

/// Creates a session under a fresh key.
///
/// After an insert without an answer the record is read, and the insert is never sent again under the same key: the first
/// one could be applied late, after the session was destroyed, and bring it back. The caller starts over with a fresh key
/// instead; no client ever learns the old one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Create<R, C> {
    record: R,
    change: C,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Inserting,
    Confirming,
}

/// How a [`Create`] or [`CacheCreate`](super::CacheCreate) ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CreateEnd {
    /// The session was created.
    Done(Version),
    /// The key is in use, or the outcome is unknown: start over with a fresh key.
    StartOver,
    /// The tier could not be reached; nothing was written.
    Unavailable,
    /// The record is too large for the tier; nothing was written.
    TooLarge,
}

impl<R, C> Create<R, C> {
    /// `change` tells whether a record is the one that was inserted.
    pub fn new(record: R, change: C) -> Self {
        Self {
            record,
            change,
            state: State::Inserting,
        }
    }
}

impl<R: Clone, C: Change<R>> Machine<R> for Create<R, C> {
    type End = CreateEnd;

    fn begin(&mut self, _: Millis) -> Step<R, CreateEnd> {
        Step::Do(Action::Insert(self.record.clone()))
    }

    fn on(&mut self, event: Event<R>, _: Millis) -> Step<R, CreateEnd> {
        Step::End(match (self.state, event) {
            (State::Inserting, Event::Wrote(Write::Done(version))) => CreateEnd::Done(version),
            (State::Inserting, Event::DurableFailed) => CreateEnd::Unavailable,
            (State::Inserting, Event::DurableFull) => CreateEnd::TooLarge,
            (State::Inserting, Event::DurableUnknown) => {
                self.state = State::Confirming;
                return Step::Do(Action::Read);
            }
            (State::Confirming, Event::Found(Some((version, record))))
                if self.change.was_applied(&record) == Some(true) =>
            {
                CreateEnd::Done(version)
            }
            _ => CreateEnd::StartOver,
        })
    }
}
