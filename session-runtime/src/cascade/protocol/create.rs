use super::{Action, Change, Event, Item, Machine, Step};
use crate::session::meta::Millis;
use crate::tier::{Version, Write};

/// Creates a session under a fresh key, and adds it to the cache, so that the next load hits.
///
/// After an insert without an answer the record is read, and the insert is never sent again under the same key: the first
/// one could be applied late, after the session was destroyed, and bring it back. After an `add` without an answer the
/// key is given up too: the `add` could be applied late, after the session was changed and evicted, and show what it was.
/// The caller starts over with a fresh key instead; no client ever learns the old one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Create<R, C> {
    record: R,
    change: C,
    cache: bool,
    asked_at: Millis,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Inserting,
    Confirming,
    Adding(Version),
}

/// How a [`Create`] or [`CacheCreate`](super::CacheCreate) ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CreateEnd {
    /// The session was created.
    Done {
        /// Its version.
        version: Version,
        /// Whether the cache failed.
        degraded: bool,
    },
    /// The key is in use, or what became of a write is unknown: start over with a fresh key.
    StartOver {
        /// The version of the record that was stored for certain, and is of no use.
        stored: Option<Version>,
    },
    /// The tier could not be reached; nothing was written.
    Unavailable,
    /// The record is too large for the tier; nothing was written.
    TooLarge,
}

impl<R: Clone, C> Create<R, C> {
    /// `change` tells whether a record is the one that was inserted; `cache`, whether there is a cache.
    pub fn new(record: R, change: C, cache: bool) -> Self {
        Self {
            record,
            change,
            cache,
            asked_at: Millis::default(),
            state: State::Inserting,
        }
    }

    fn inserted(&mut self, version: Version) -> Step<R, CreateEnd> {
        if !self.cache {
            return done(version, false);
        }
        self.state = State::Adding(version);
        Step::Do(Action::Add(Item::Value {
            version,
            asked_at: self.asked_at,
            record: self.record.clone(),
        }))
    }
}

fn done<R>(version: Version, degraded: bool) -> Step<R, CreateEnd> {
    Step::End(CreateEnd::Done { version, degraded })
}

impl<R: Clone, C: Change<R>> Machine<R> for Create<R, C> {
    type End = CreateEnd;

    fn begin(&mut self, now: Millis) -> Step<R, CreateEnd> {
        self.asked_at = now;
        Step::Do(Action::Insert(self.record.clone()))
    }

    fn on(&mut self, event: Event<R>, _: Millis) -> Step<R, CreateEnd> {
        match (self.state, event) {
            (State::Inserting, Event::Wrote(Write::Done(version))) => self.inserted(version),
            (State::Inserting, Event::DurableFailed) => Step::End(CreateEnd::Unavailable),
            (State::Inserting, Event::DurableFull) => Step::End(CreateEnd::TooLarge),
            (State::Inserting, Event::DurableUnknown) => {
                self.state = State::Confirming;
                Step::Do(Action::Read)
            }
            (State::Confirming, Event::Found(Some((version, record))))
                if self.change.was_applied(&record) == Some(true) =>
            {
                self.inserted(version)
            }
            (State::Adding(version), Event::Added(_) | Event::CacheFull) => done(version, false),
            (State::Adding(version), Event::CacheFailed) => done(version, true),
            (State::Adding(version), _) => Step::End(CreateEnd::StartOver { stored: Some(version) }),
            _ => Step::End(CreateEnd::StartOver { stored: None }),
        }
    }
}
