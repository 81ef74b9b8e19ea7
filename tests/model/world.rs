//! The tiers of the model, and what the checker knows of everyone in it.

use session_runtime::__private::cascade::protocol::{Action, Event, Item};
use session_runtime::__private::session::meta::Nonce;
use session_runtime::tier::{Swap, Token, Version, Write};

use super::record::Rec;
use crate::actor::Actor;

/// How many faults of each kind may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Faults {
    /// The cache drops whatever it holds.
    pub(super) evictions: u8,
    /// The cache drops what it holds, if that is not a fence.
    pub(super) forgets: u8,
    /// An actor is no more; a durable write that it had sent may land at any later time.
    pub(super) crashes: u8,
    /// A durable write is not answered, and may land at any later time.
    pub(super) silences: u8,
    /// The durable tier is not reached.
    pub(super) outages: u8,
    /// The cache does not answer, and may do what it was asked at any later time.
    pub(super) losses: u8,
    /// A reader finds a value in the cache too old to be believed.
    pub(super) olds: u8,
}

/// What must not happen, and cannot be told from the tiers alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Broken {
    WentBack,
    MissedAcknowledged,
    ServedDead,
    CalledLivingGone,
}

/// Everything there is at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) durable: Option<(Version, Rec)>,
    last_version: u64,
    pub(super) cache: Option<(Item<Rec>, Token)>,
    /// Those who are not done, in an order that depends on nothing but what they are.
    pub(super) actors: Vec<Actor>,
    /// What was asked of a tier by someone who listens no more, and may yet be done.
    pub(super) late: Vec<(u8, Action<Rec>)>,
    pub(super) left: Faults,
    /// The latest version that a load has seen.
    pub(super) seen: u64,
    /// The latest version that was acknowledged as settled; `GONE` after a destroy.
    pub(super) settled: u64,
    /// Whose updates were acknowledged, a bit each.
    pub(super) acknowledged: u8,
    /// Who was told for certain that nothing was written, a bit each.
    pub(super) denied: u8,
    /// Whether a destroy was acknowledged.
    pub(super) dead: bool,
    /// Whether the session's cookie has gone out.
    pub(super) known: bool,
    pub(super) broken: Option<Broken>,
}

/// What a load that finds nothing sees: later than any version, for a session does not come back.
pub(super) const GONE: u64 = u64::MAX;

impl World {
    pub(super) fn new(durable: Option<Rec>, actors: Vec<Actor>, left: Faults) -> Self {
        Self {
            known: true,
            durable: durable.map(|record| (Version(1), record)),
            last_version: 1,
            cache: None,
            actors,
            late: Vec::new(),
            left,
            seen: 0,
            settled: 0,
            acknowledged: 0,
            denied: 0,
            dead: false,
            broken: None,
        }
    }

    pub(super) fn apply(&mut self, action: Action<Rec>) -> Event<Rec> {
        match action {
            Action::Get => Event::Got(self.cache.clone()),
            Action::Add(item) => {
                let added = self.cache.is_none();
                if added {
                    self.store(item);
                }
                Event::Added(added)
            }
            Action::Set(item) => {
                self.store(item);
                Event::WasSet
            }
            Action::Swap(token, item) => {
                let swap = self.compare(token);
                if swap == Swap::Done {
                    self.store(item);
                }
                Event::Swapped(swap)
            }
            Action::Remove(token) => {
                let swap = self.compare(token);
                if swap == Swap::Done {
                    self.cache = None;
                }
                Event::Swapped(swap)
            }
            Action::Read => Event::Found(self.durable.clone()),
            Action::Insert(record) => Event::Wrote(match self.durable {
                Some(_) => Write::Conflict,
                None => self.write(Some(record)),
            }),
            Action::Update(base, record) => Event::Wrote(match self.durable {
                Some((version, _)) if version == base => self.write(Some(record)),
                Some(_) => Write::Conflict,
                None => Write::Missing,
            }),
            Action::Delete(base) => Event::Wrote(match self.durable {
                Some((version, _)) if version == base => self.write(None),
                Some(_) => Write::Conflict,
                None => Write::Missing,
            }),
        }
    }

    fn compare(&self, token: Token) -> Swap {
        match self.cache {
            Some((_, lies)) if lies == token => Swap::Done,
            Some(_) => Swap::Changed,
            None => Swap::Missing,
        }
    }

    fn write(&mut self, record: Option<Rec>) -> Write {
        self.last_version += 1;
        let version = Version(self.last_version);
        self.durable = record.map(|record| (version, record));
        Write::Done(version)
    }

    /// Tokens mean nothing but which one they equal, so the smallest that nobody holds is as good as a new one, and
    /// keeps the states few.
    pub(super) fn store(&mut self, item: Item<Rec>) {
        let held = |token: u64| {
            let holds = |action: &Action<Rec>| matches!(action, Action::Swap(t, _) | Action::Remove(t) if t.0 == token);
            self.cache.as_ref().is_some_and(|(_, t)| t.0 == token)
                || self
                    .actors
                    .iter()
                    .any(|actor| actor.pending.as_ref().is_some_and(holds))
                || self.late.iter().any(|(_, action)| holds(action))
        };
        let token = (0..u64::MAX).find(|token| !held(*token)).unwrap_or_default();
        self.cache = Some((item, Token(token)));
    }

    /// A lease's random number, by the same reasoning.
    pub(super) fn fresh_lease(&self) -> u64 {
        let held = |nonce: u64| {
            let is = |item: &Item<Rec>| *item == Item::Lease(Nonce(nonce));
            self.cache.as_ref().is_some_and(|(item, _)| is(item))
                || self.actors.iter().any(|actor| actor.lease == Some(nonce))
                || self
                    .late
                    .iter()
                    .any(|(_, action)| matches!(action, Action::Add(item) | Action::Swap(_, item) if is(item)))
        };
        (0..u64::MAX).find(|nonce| !held(*nonce)).unwrap_or_default()
    }

    /// Whether the lease or fence in the cache has nobody left who could use it: then its time may be over.
    pub(super) fn is_cache_item_orphaned(&self) -> bool {
        match &self.cache {
            Some((Item::Lease(nonce), _)) => !self.actors.iter().any(|actor| actor.lease == Some(nonce.0)),
            Some((Item::Fence { writer, .. }, _)) => {
                !self.actors.iter().any(|actor| actor.fence() == *writer)
                    && !self.late.iter().any(|(who, _)| crate::actor::fence_of(*who) == *writer)
            }
            Some((Item::Tombstone, _)) => true,
            Some((Item::Value { .. }, _)) | None => false,
        }
    }
}

impl World {
    /// Whether everyone is done; where no cookie went out, nobody can come.
    pub(super) fn is_over(&self) -> bool {
        let waits = |actor: &Actor| !self.known && actor.stage == crate::actor::Stage::Idle;
        self.actors.iter().all(waits)
    }

    /// Brings what has no order into one, so that states that differ in nothing else are one.
    pub(super) fn tidy(&mut self) {
        self.actors.sort_by_cached_key(|actor| (actor.who, actor.rank()));
        self.late.sort_by_cached_key(crate::actor::rank);
    }
}
