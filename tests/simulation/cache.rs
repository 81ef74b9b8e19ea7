//! The memcacheds, and the links to them with a breaker each.

use std::time::Duration;

use session_runtime::__private::cascade::protocol::{Action, Event, Item};
use session_runtime::__private::session::meta::Millis;
use session_runtime::tier::{Swap, Token};

use super::MAX_STALENESS;
use super::calendar::{Caller, MILLISECOND, Micros, SECOND, What, micros};
use super::record::Shared;
use super::sessions::{Cached, Session};
use super::setting::{FaultKind, Setting};
use super::world::World;

/// A round trip: 0.2 to 0.5 ms.
const ROUND_TRIP: std::ops::Range<Micros> = 200..500;
/// As `DEFAULT_TIMEOUT` of the tier.
const TIMEOUT: Micros = 250 * MILLISECOND;
/// As the breaker of the tier.
const FAILURES_TO_OPEN: u32 = 3;
const RETRY_INTERVAL: Micros = SECOND;
/// As the policy of the cascade, with the `max_write_delay` of Datastore.
const LEASE_TTL: Duration = Duration::from_secs(10);
const FENCE_TTL: Duration = Duration::from_secs(60 + 15);
const TOMBSTONE_TTL: Duration = Duration::from_mins(1);

/// A call to a memcached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) node: u16,
    pub(crate) memcached: u8,
    pub(crate) session: u32,
    pub(crate) began: Micros,
    /// How long the answer takes back.
    back: Micros,
}

#[derive(Clone, Copy, Debug, Default)]
struct Breaker {
    failures: u32,
    latest_answer: Option<Micros>,
    next_attempt: Option<Micros>,
}

pub(crate) struct Caches {
    breakers: Vec<Breaker>,
    memcacheds: usize,
    tokens: u64,
}

impl Caches {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self {
            breakers: vec![Breaker::default(); usize::from(setting.nodes) * setting.memcacheds],
            memcacheds: setting.memcacheds,
            tokens: u64::from(u32::MAX),
        }
    }

    fn breaker(&mut self, node: u16, memcached: u8) -> &mut Breaker {
        &mut self.breakers[usize::from(node) * self.memcacheds + usize::from(memcached)]
    }

    /// Sends a call.
    pub(crate) fn send(&mut self, world: &mut World, caller: Caller, place: (u16, u8, u32), action: Action<Shared>) {
        let (node, memcached, session) = place;
        let now = world.calendar.now();
        let is_read = action == Action::Get;
        if is_read && !self.breaker(node, memcached).allow_read(now) {
            return world.calendar.at(now, What::Answer(caller, Event::CacheFailed, None));
        }
        let round_trip = world.rng.u64(ROUND_TRIP);
        let link = Link {
            node,
            memcached,
            session,
            began: now,
            back: round_trip / 2,
        };
        let fault = world.setting.fault.filter(|_| memcached == 0);
        let fails = |kind| fault.is_some_and(|fault| fault.is_on(kind, now));
        if fails(FaultKind::MemcachedRestarts) || node % 2 == 1 && fails(FaultKind::MemcachedCutOff) {
            return world
                .calendar
                .after(round_trip, What::Answer(caller, Event::CacheFailed, Some(link)));
        }
        let begins = match fault {
            Some(fault) if fails(FaultKind::MemcachedHangs) => fault.until,
            _ => now,
        };
        let is_answered = begins + round_trip <= now + TIMEOUT;
        if !is_answered {
            let silence = if is_read {
                Event::CacheFailed
            } else {
                Event::CacheUnknown
            };
            world.calendar.after(TIMEOUT, What::Answer(caller, silence, Some(link)));
        }
        world.calendar.at(
            begins + round_trip / 2,
            What::AtCache(is_answered.then_some(caller), link, action),
        );
    }

    /// Takes note of an answer, or that there was none.
    pub(crate) fn answered(&mut self, now: Micros, link: Link, event: &Event<Shared>) {
        let breaker = self.breaker(link.node, link.memcached);
        if matches!(event, Event::CacheFailed | Event::CacheUnknown) {
            breaker.record_failure(link.began, now);
        } else {
            *breaker = Breaker {
                latest_answer: Some(now),
                ..Breaker::default()
            };
        }
    }

    /// Does what a call asks for, as memcached does, and sends the answer.
    pub(crate) fn arrive(
        &mut self,
        world: &mut World,
        session: &mut Session,
        (caller, link): (Option<Caller>, Link),
        action: Action<Shared>,
    ) {
        let now = world.calendar.now();
        let was_lost = |stored_at| {
            world.setting.fault.is_some_and(|fault| {
                fault.kind == FaultKind::MemcachedRestarts
                    && link.memcached == 0
                    && stored_at < fault.until
                    && now >= fault.from
            })
        };
        let is_there = |cached: &Cached| cached.expires_at > now && !was_lost(cached.stored_at);
        session.cached = session.cached.take().filter(is_there);
        let today = world.calendar.time_of_day();
        let event = self.perform(&mut session.cached, action, now, today);
        if let Some(caller) = caller {
            world.calendar.after(link.back, What::Answer(caller, event, Some(link)));
        }
    }

    fn perform(
        &mut self,
        place: &mut Option<Cached>,
        action: Action<Shared>,
        now: Micros,
        today: Millis,
    ) -> Event<Shared> {
        let swap = match (&action, &*place) {
            (_, None) => Swap::Missing,
            (Action::Swap(token, _) | Action::Remove(token), Some(cached)) if token.0 != cached.token => Swap::Changed,
            _ => Swap::Done,
        };
        match action {
            Action::Get => Event::Got(place.as_ref().map(|cached| (cached.item.clone(), Token(cached.token)))),
            Action::Add(_) if place.is_some() => Event::Added(false),
            Action::Add(item) => {
                *place = Some(self.item(item, now, today));
                Event::Added(true)
            }
            Action::Swap(_, item) => {
                if swap == Swap::Done {
                    *place = Some(self.item(item, now, today));
                }
                Event::Swapped(swap)
            }
            Action::Remove(_) => {
                if swap == Swap::Done {
                    *place = None;
                }
                Event::Swapped(swap)
            }
            Action::Set(item) => {
                *place = Some(self.item(item, now, today));
                Event::WasSet
            }
            Action::Read | Action::Insert(_) | Action::Update(..) | Action::Delete(_) => Event::DurableFailed,
        }
    }

    fn item(&mut self, item: Item<Shared>, now: Micros, today: Millis) -> Cached {
        let ttl = match &item {
            Item::Value { asked_at, .. } => MAX_STALENESS
                .saturating_sub(today.since(*asked_at))
                .max(Duration::from_secs(1)),
            Item::Lease(_) => LEASE_TTL,
            Item::Fence { .. } => FENCE_TTL,
            Item::Tombstone => TOMBSTONE_TTL,
        };
        self.tokens += 1;
        Cached {
            item,
            token: self.tokens,
            stored_at: now,
            expires_at: now + micros(ttl),
        }
    }
}

impl Breaker {
    fn allow_read(&mut self, now: Micros) -> bool {
        match self.next_attempt {
            Some(next_attempt) if now < next_attempt => false,
            Some(_) => {
                self.next_attempt = Some(now + RETRY_INTERVAL);
                true
            }
            None => true,
        }
    }

    fn record_failure(&mut self, began: Micros, now: Micros) {
        if self.latest_answer.is_some_and(|answer| began < answer) {
            return;
        }
        self.failures += 1;
        if self.failures >= FAILURES_TO_OPEN && self.next_attempt.is_none() {
            self.next_attempt = Some(now + RETRY_INTERVAL);
        }
    }
}
