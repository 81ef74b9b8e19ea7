//! The state of the model: the tiers, the actors, and what the checker knows about them.

use session_runtime::__private::cascade::protocol::{Action, Event, Item};
use session_runtime::__private::session::meta::{Millis, Nonce};
use session_runtime::tier::{Swap, Token, Version, Write};

use super::mutation::Mutation;
use super::queue::Queue;
use super::record::Record;
use super::shared::SharedLoad;
use crate::actor::{Actor, MAX_STALENESS};

/// How many faults of each kind may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Faults {
    /// The cache evicts its item.
    pub(super) evictions: u8,
    /// The cache evicts its item, unless that is a fence.
    pub(super) evictions_but_fences: u8,
    /// An actor crashes; a durable write that it had sent may be applied at any later time.
    pub(super) crashes: u8,
    /// A durable write is not answered, and may be applied at any later time.
    pub(super) durable_timeouts: u8,
    /// The durable tier cannot be reached.
    pub(super) outages: u8,
    /// A cache call is not answered, and may be applied at any later time.
    pub(super) cache_timeouts: u8,
    /// A writer takes so long after its durable write that its fence expires.
    pub(super) slow_writers: u8,
    /// A reader finds a cached value older than the maximum staleness.
    pub(super) stale_hits: u8,
    /// A commit's time runs out: its driver is dropped at any call, which may be applied at any later time.
    pub(super) cuts: u8,
    /// So much time passes that everything that the cache has is older than the maximum staleness.
    pub(super) hours: u8,
}

/// What a load or a commit must never do; it does not show in the tiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Violation {
    WentBack,
    MissedAcknowledged,
    ServedDestroyed,
    LivingReportedGone,
}

/// A call whose caller no longer waits, and which may still be applied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct InFlight {
    /// The actor that sent it.
    pub(super) id: u8,
    pub(super) action: Action<Record>,
    /// Whether it is a durable write that was sent before the fence was stored that the cache holds now.
    pub(super) precedes_fence: bool,
}

/// One state of the system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SystemState {
    pub(super) durable: Option<(Version, Record)>,
    last_version: u64,
    pub(super) cache: Option<(Item<Record>, Token)>,
    /// Those that have not finished, in a canonical order.
    pub(super) actors: Vec<Actor>,
    pub(super) in_flight: Vec<InFlight>,
    pub(super) faults_left: Faults,
    pub(super) now: Millis,
    /// Whether the cache gives tokens again that others still hold.
    pub(super) repeats_tokens: bool,
    pub(super) queue: Queue,
    pub(super) shared_load: SharedLoad,
    /// The latest version that a load has seen.
    pub(super) seen: u64,
    /// The latest version that was acknowledged with the cache settled; `GONE` after a destroy.
    pub(super) settled: u64,
    /// The actors whose updates were acknowledged, one bit each.
    pub(super) acknowledged: u8,
    /// The actors whose updates failed for certain, one bit each.
    pub(super) rejected: u8,
    /// Whether a destroy was acknowledged.
    pub(super) destroyed: bool,
    /// Whether the session's cookie was sent, so that requests can come.
    pub(super) is_cookie_sent: bool,
    pub(super) violation: Option<Violation>,
}

/// The version that a load sees when it finds nothing: later than any other, since a session does not come back.
pub(super) const GONE: u64 = u64::MAX;

impl SystemState {
    pub(super) fn new(durable: Option<Record>, actors: Vec<Actor>, faults_left: Faults) -> Self {
        Self {
            is_cookie_sent: true,
            durable: durable.map(|record| (Version(1), record)),
            last_version: 1,
            cache: None,
            actors,
            in_flight: Vec::new(),
            faults_left,
            now: Millis(0),
            repeats_tokens: false,
            queue: Queue::default(),
            shared_load: SharedLoad::default(),
            seen: 0,
            settled: 0,
            acknowledged: 0,
            rejected: 0,
            destroyed: false,
            violation: None,
        }
    }

    pub(super) fn apply(&mut self, action: Action<Record>) -> Event<Record> {
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
                    self.clear_cache();
                }
                Event::Swapped(swap)
            }
            Action::Read => Event::Found(self.durable),
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
            Some((_, current)) if current == token => Swap::Done,
            Some(_) => Swap::Changed,
            None => Swap::Missing,
        }
    }

    fn write(&mut self, record: Option<Record>) -> Write {
        self.last_version += 1;
        let version = Version(self.last_version);
        self.durable = record.map(|record| (version, record));
        Write::Done(version)
    }

    /// Tokens are only compared, so the smallest that nobody holds is as good as a new one, and keeps the number of states
    /// small.
    pub(super) fn store(&mut self, item: Item<Record>) {
        let is_fence = matches!(item, Item::Fence { .. });
        let held = |token: u64| {
            let holds =
                |action: &Action<Record>| matches!(action, Action::Swap(t, _) | Action::Remove(t) if t.0 == token);
            let mut actors = self.actors.iter().chain(&self.queue.waiting);
            let by_others = actors
                .any(|actor| actor.token == Some(Token(token)) || actor.pending.as_ref().is_some_and(holds))
                || self.in_flight.iter().any(|call| holds(&call.action));
            self.cache.as_ref().is_some_and(|(_, t)| t.0 == token) || (by_others && !self.repeats_tokens)
        };
        let token = (0..u64::MAX).find(|token| !held(*token)).unwrap_or_default();
        self.cache = Some((item, Token(token)));
        for actor in &mut self.actors {
            actor.precedes_fence = is_fence && actor.is_writing();
        }
        for call in &mut self.in_flight {
            call.precedes_fence = is_fence && is_durable_write(&call.action);
        }
    }

    /// Takes the item out of the cache.
    pub(super) fn clear_cache(&mut self) {
        self.cache = None;
        for actor in &mut self.actors {
            actor.precedes_fence = false;
        }
        for call in &mut self.in_flight {
            call.precedes_fence = false;
        }
    }

    /// A nonce for a lease, the smallest that is free for the same reason.
    pub(super) fn fresh_lease(&self) -> u64 {
        let held = |nonce: u64| {
            let is = |item: &Item<Record>| *item == Item::Lease(Nonce(nonce));
            self.cache.as_ref().is_some_and(|(item, _)| is(item))
                || self.actors.iter().any(|actor| actor.lease == Some(nonce))
                || self
                    .in_flight
                    .iter()
                    .any(|call| matches!(&call.action, Action::Add(item) | Action::Swap(_, item) if is(item)))
        };
        (0..u64::MAX).find(|nonce| !held(*nonce)).unwrap_or_default()
    }

    pub(super) fn has_fence_of(&self, actor: &Actor) -> bool {
        matches!(&self.cache, Some((Item::Fence { writer, .. }, _)) if *writer == actor.fence())
    }

    /// Whether the item in the cache may expire. A fence outlives every durable write that was sent before it was stored,
    /// its writer's among them: an actor's is answered first, and one in flight is applied first or never.
    pub(super) fn may_expire(&self, mutation: Mutation) -> bool {
        match &self.cache {
            Some((Item::Lease(nonce), _)) => !self.actors.iter().any(|actor| actor.lease == Some(nonce.0)),
            Some((Item::Fence { writer, .. }, _)) => {
                let is_outlived = !self.actors.iter().any(|actor| actor.precedes_fence);
                let is_alive = self.actors.iter().any(|actor| actor.fence() == *writer);
                (is_outlived || mutation == Mutation::ShortFence) && (!is_alive || self.faults_left.slow_writers > 0)
            }
            Some((Item::Tombstone, _)) => true,
            Some((Item::Value { asked_at, .. }, _)) => self.now.since(*asked_at) > MAX_STALENESS,
            None => false,
        }
    }

    /// The item in the cache expires.
    pub(super) fn expire(&mut self) {
        if self.actors.iter().any(|actor| self.has_fence_of(actor)) {
            self.faults_left.slow_writers -= 1;
        }
        self.in_flight.retain(|call| !call.precedes_fence);
        self.clear_cache();
    }
}

/// How long it takes until every cached value is stale, in milliseconds.
pub(super) const LONG: u64 = 1_000;

/// Whether this call writes the durable tier.
pub(super) fn is_durable_write(action: &Action<Record>) -> bool {
    matches!(action, Action::Insert(_) | Action::Update(..) | Action::Delete(_))
}

impl SystemState {
    /// Whether every actor has finished. Those that wait for a cookie that is never sent count as finished.
    pub(super) fn is_finished(&self) -> bool {
        let waits = |actor: &Actor| !self.is_cookie_sent && actor.stage == crate::actor::Stage::Idle;
        self.actors.iter().all(waits) && self.queue.waiting.is_empty() && self.shared_load.is_empty()
    }

    /// Time passes. What was reported as not settled in the cache, until now, must be seen from now on.
    pub(super) fn wait(&mut self) {
        self.faults_left.hours -= 1;
        self.now = Millis(self.now.0 + LONG);
        for actor in &self.actors {
            if let crate::actor::Stage::Repair(_, version, _) = &actor.stage {
                self.settled = self.settled.max(*version);
            }
        }
    }

    /// Whether a value in the cache is one that the durable tier no longer has.
    pub(super) fn has_old_value(&self) -> bool {
        match (&self.cache, &self.durable) {
            (Some((Item::Value { version, .. }, _)), Some((latest, _))) => version != latest,
            (Some((Item::Value { .. }, _)), None) => true,
            _ => false,
        }
    }

    /// Sorts what has no order, so that equal states compare as equal.
    pub(super) fn normalize(&mut self) {
        self.actors.sort_by_cached_key(|actor| (actor.id, actor.stable_hash()));
        self.in_flight.sort_by_cached_key(crate::actor::stable_hash);
    }
}
