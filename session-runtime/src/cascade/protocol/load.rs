use std::time::Duration;

use super::{Action, Event, Item, Machine, Step};
use crate::session::meta::{Millis, Nonce};
use crate::tier::{Swap, Token, Version};

/// Loads a session from the cache, or else from the durable tier.
///
/// A hit costs one round trip and no durable call. On a miss the reader stores a lease, so that the [`Fill`] that follows
/// notices a writer in between: its fence has replaced the lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Load {
    lease: Nonce,
    max_staleness: Duration,
    cache: bool,
    leased: bool,
    degraded: bool,
    asked_at: Millis,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Getting,
    Leasing,
    Reading,
}

/// The tier that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The cache.
    Cache,
    /// The durable tier.
    Durable,
}

/// A record with its version, and the cached value it was read from: what a load finds, and what a commit is based on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionedRecord<R> {
    /// The version that a commit is based on.
    pub version: Version,
    /// The record.
    pub record: R,
    /// The cached value that it was read from, if it was.
    pub cached: Option<CacheRef>,
}

/// A reference to a cached value, by which exactly that value can be replaced, and restored as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheRef {
    /// Its token.
    pub token: Token,
    /// Its [`asked_at`](Item::Value::asked_at).
    pub asked_at: Millis,
}

/// How a [`Load`] or [`CacheLoad`](super::CacheLoad) ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LoadEnd<R> {
    /// It is known whether there is such a session.
    Known {
        /// The session, if there is one.
        found: Option<VersionedRecord<R>>,
        /// The tier that answered.
        source: Source,
        /// Whether the cache failed.
        degraded: bool,
        /// Stores in the cache what was found. To be run in the background.
        fill: Option<Fill<R>>,
    },
    /// No tier could answer.
    Unavailable,
}

impl<R: Clone> LoadEnd<R> {
    /// The same for another reader of the same load.
    #[must_use]
    pub fn without_fill(&self) -> Self {
        match self {
            Self::Known {
                found,
                source,
                degraded,
                fill: _,
            } => Self::Known {
                found: found.clone(),
                source: *source,
                degraded: *degraded,
                fill: None,
            },
            Self::Unavailable => Self::Unavailable,
        }
    }
}

impl Load {
    /// Reads the cache first if `cache` is true. `lease` is a fresh nonce. A cached record older than `max_staleness` is
    /// read again from the durable tier.
    pub fn new(cache: bool, lease: Nonce, max_staleness: Duration) -> Self {
        Self {
            lease,
            max_staleness,
            cache,
            leased: false,
            degraded: false,
            asked_at: Millis::default(),
            state: State::Getting,
        }
    }

    /// Whether it has left a lease, and so has something to fill.
    pub fn has_lease(&self) -> bool {
        self.leased
    }

    fn read<R>(&mut self, now: Millis) -> Step<R, LoadEnd<R>> {
        self.state = State::Reading;
        self.asked_at = now;
        Step::Do(Action::Read)
    }

    fn lease<R>(&mut self, action: Action<R>) -> Step<R, LoadEnd<R>> {
        self.state = State::Leasing;
        Step::Do(action)
    }

    fn got<R>(&mut self, item: Item<R>, token: Token, now: Millis) -> Step<R, LoadEnd<R>> {
        let found = match item {
            Item::Value {
                version,
                asked_at,
                record,
            } if now.since(asked_at) <= self.max_staleness => Some(VersionedRecord {
                version,
                record,
                cached: Some(CacheRef { token, asked_at }),
            }),
            Item::Value { .. } => return self.lease(Action::Swap(token, Item::Lease(self.lease))),
            Item::Tombstone => None,
            Item::Lease(_) | Item::Fence { .. } => return self.read(now),
        };
        Step::End(LoadEnd::Known {
            found,
            source: Source::Cache,
            degraded: false,
            fill: None,
        })
    }
}

impl<R: Clone> Machine<R> for Load {
    type End = LoadEnd<R>;

    fn begin(&mut self, now: Millis) -> Step<R, Self::End> {
        if self.cache {
            Step::Do(Action::Get)
        } else {
            self.read(now)
        }
    }

    fn on(&mut self, event: Event<R>, now: Millis) -> Step<R, Self::End> {
        match (self.state, event) {
            (State::Getting, Event::Got(Some((item, token)))) => self.got(item, token, now),
            (State::Getting, Event::Got(None)) => self.lease(Action::Add(Item::Lease(self.lease))),
            (State::Leasing, Event::Added(leased)) => {
                self.leased = leased;
                self.read(now)
            }
            (State::Leasing, Event::Swapped(swap)) => {
                self.leased = swap == Swap::Done;
                self.read(now)
            }
            (State::Reading, Event::Found(found)) => {
                let fill = self.leased.then(|| Fill::new(self.lease, found.clone(), self.asked_at));
                let found = found.map(|(version, record)| VersionedRecord {
                    version,
                    record,
                    cached: None,
                });
                Step::End(LoadEnd::Known {
                    found,
                    source: Source::Durable,
                    degraded: self.degraded,
                    fill,
                })
            }
            (State::Reading, _) => Step::End(LoadEnd::Unavailable),
            (State::Getting | State::Leasing, _) => {
                self.degraded = true;
                self.read(now)
            }
        }
    }
}

/// Stores in the cache what the durable tier answered, by a swap of the reader's own lease; if that is gone, does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fill<R> {
    lease: Nonce,
    item: Item<R>,
}

impl<R> Fill<R> {
    fn new(lease: Nonce, found: Option<(Version, R)>, asked_at: Millis) -> Self {
        let item = match found {
            Some((version, record)) => Item::Value {
                version,
                asked_at,
                record,
            },
            None => Item::Tombstone,
        };
        Self { lease, item }
    }
}

impl<R: Clone> Machine<R> for Fill<R> {
    type End = ();

    fn begin(&mut self, _: Millis) -> Step<R, ()> {
        Step::Do(Action::Get)
    }

    fn on(&mut self, event: Event<R>, _: Millis) -> Step<R, ()> {
        match event {
            Event::Got(Some((Item::Lease(lease), token))) if lease == self.lease => {
                Step::Do(Action::Swap(token, self.item.clone()))
            }
            _ => Step::End(()),
        }
    }
}
