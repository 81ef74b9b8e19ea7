use std::time::Duration;

use super::{Action, Event, Item, Machine, Step};
use crate::session::meta::{Millis, Nonce};
use crate::tier::{Swap, Token, Version};

/// Looks a session up: the cache first, then the durable tier.
///
/// A hit costs one round trip and no durable call. On a miss the reader leaves its lease, so that the [`Fill`] that
/// follows can tell whether a writer came by in between.
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

/// A record, its version, and where it lay in the cache: what a load finds, and what a commit starts from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VersionedRecord<R> {
    /// The version to commit on.
    pub version: Version,
    /// The record.
    pub record: R,
    /// Where it lay in the cache, if the cache had it.
    pub cached: Option<CacheRef>,
}

/// A value in the cache, so that exactly it can be replaced, and put back as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheRef {
    /// Its token.
    pub token: Token,
    /// What it says of the time at which the durable tier was asked.
    pub asked_at: Millis,
}

/// What a [`Load`] or [`CacheLoad`](super::CacheLoad) comes to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LoadEnd<R> {
    /// There is such a session, or there is none.
    Known {
        /// The session, if there is one.
        found: Option<VersionedRecord<R>>,
        /// Who said so.
        source: Source,
        /// Whether the cache failed on the way.
        degraded: bool,
        /// To be run beside the request: puts what was found into the cache.
        fill: Option<Fill<R>>,
    },
    /// No tier could tell.
    Unavailable,
}

impl Load {
    /// Reads through the cache unless `cache` is false (there is none, or it is not to be asked for now). `lease` is a
    /// fresh random number. A cached record older than `max_staleness` is not believed.
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

/// Puts what the durable tier said into the cache, over exactly the reader's own lease, and otherwise does nothing.
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
