use super::{Action, Change, Event, Machine, Step};
use crate::session::meta::Millis;
use crate::tier::{Version, Write};

/// Writes a new session under a key that nobody has seen.
///
/// An insert whose outcome is not known is looked up, and never sent again under the same key: the first one might land
/// after the session that the second one made was destroyed, and bring it back. The caller starts over with a fresh
/// key instead; what may yet land under the old one is out of everyone's reach.
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

/// What a [`Create`] or [`CacheCreate`](super::CacheCreate) comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CreateEnd {
    /// The session exists.
    Done(Version),
    /// Not known, or the key is taken: start over with a fresh key.
    StartOver,
    /// The tier could not be reached; nothing was written.
    Unavailable,
    /// The record is larger than the tier takes; nothing was written.
    TooLarge,
}

impl<R, C> Create<R, C> {
    /// `change` is only asked whether it has landed.
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
