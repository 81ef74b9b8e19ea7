//! Datastore, and each node's calls to it: how many at once, how long, and how often.

use std::collections::VecDeque;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use session_runtime::__private::cascade::protocol::{Action, Event};
use session_runtime::tier::{Version, Write};

use super::calendar::{Attempt, Caller, MILLISECOND, Micros, SECOND, What};
use super::check::Check;
use super::record::Shared;
use super::sessions::Session;
use super::setting::{FaultKind, Setting};
use super::world::World;

/// A call: 20 to 30 ms.
const ROUND_TRIP: std::ops::Range<Micros> = 20_000..30_000;
/// As `DEFAULT_CHANNELS` of the tier, and what Google's front ends let each carry.
const CALLS_AT_ONCE: usize = 4 * 100;
/// As `CALLS_PER_CHANNEL` of the tier.
const CALLS: usize = 4 * 500;
/// As the timeouts and the pauses of the tier.
const ATTEMPT_TIMEOUT: Micros = 5 * SECOND;
const CALL_TIMEOUT: Micros = 15 * SECOND;
const FIRST_PAUSE: Micros = 50 * MILLISECOND;
const RETRIES: u32 = 4;

struct Call {
    caller: Caller,
    node: u16,
    session: u32,
    action: Action<Shared>,
    /// What the write was answered, once that is being explained by a lookup.
    rejected: bool,
    ends: Micros,
    attempt: u32,
    tries: u32,
    state: CallState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallState {
    /// For room on a connection.
    Waiting,
    Sent,
    Paused,
}

#[derive(Default)]
struct Node {
    calls: usize,
    under_way: usize,
    waiting: VecDeque<Attempt>,
}

pub(crate) struct Durable {
    calls: FxHashMap<u64, Call>,
    nodes: Vec<Node>,
    begun: u64,
    versions: u64,
    /// Attempts that were sent.
    pub(crate) sent: u64,
}

impl Durable {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self {
            calls: FxHashMap::default(),
            nodes: (0..setting.nodes).map(|_| Node::default()).collect(),
            begun: 0,
            versions: 1,
            sent: 0,
        }
    }

    /// Begins a call, unless too many wait already.
    pub(crate) fn begin(
        &mut self,
        world: &mut World,
        caller: Caller,
        (node, session): (u16, u32),
        action: Action<Shared>,
    ) {
        let busy = &mut self.nodes[usize::from(node)];
        let now = world.calendar.now();
        if busy.calls == CALLS {
            return world.calendar.at(now, What::Answer(caller, Event::DurableFailed, None));
        }
        busy.calls += 1;
        self.begun += 1;
        let call = Call {
            caller,
            node,
            session,
            action,
            rejected: false,
            ends: now + CALL_TIMEOUT,
            attempt: 0,
            tries: 0,
            state: CallState::Paused,
        };
        self.calls.insert(self.begun, call);
        self.attempt(world, self.begun);
    }

    pub(crate) fn attempt(&mut self, world: &mut World, id: u64) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.attempt += 1;
        call.state = CallState::Waiting;
        let attempt = Attempt {
            call: id,
            number: call.attempt,
        };
        let timeout = call.ends.min(world.calendar.now() + ATTEMPT_TIMEOUT);
        world.calendar.at(timeout, What::AttemptEnds(attempt));
        let node = call.node;
        self.nodes[usize::from(node)].waiting.push_back(attempt);
        self.send(world, node);
    }

    /// Sends what waits, while there is room.
    fn send(&mut self, world: &mut World, node: u16) {
        let node = &mut self.nodes[usize::from(node)];
        while node.under_way < CALLS_AT_ONCE
            && let Some(attempt) = node.waiting.pop_front()
        {
            let Some(call) = self.calls.get_mut(&attempt.call) else {
                continue;
            };
            if call.attempt != attempt.number || call.state != CallState::Waiting {
                continue;
            }
            call.state = CallState::Sent;
            node.under_way += 1;
            self.sent += 1;
            let half = world.rng.u64(ROUND_TRIP) / 2;
            let mut at = world.calendar.now() + half;
            if let Some(fault) = world.setting.fault
                && fault.is_on(FaultKind::DatastoreStalls, at)
            {
                at = fault.until + half;
            }
            let action = if call.rejected {
                Action::Read
            } else {
                call.action.clone()
            };
            world
                .calendar
                .at(at, What::AtDurable(attempt, call.session, action, half));
        }
    }

    /// Does what an attempt asks for. A write whose caller has given up may be applied or not.
    pub(crate) fn arrive(
        &mut self,
        world: &mut World,
        check: &mut Check,
        attempt: Attempt,
        (id, session): (u32, &mut Session),
        (action, back): (Action<Shared>, Micros),
    ) {
        let is_awaited = self.is_under_way(attempt);
        if !is_awaited && (action == Action::Read || world.rng.bool()) {
            return;
        }
        let event = self.perform(check, id, session, action);
        if is_awaited {
            world.calendar.after(back, What::Replied(attempt, event));
        }
    }

    fn is_under_way(&self, attempt: Attempt) -> bool {
        let call = self.calls.get(&attempt.call);
        call.is_some_and(|call| call.attempt == attempt.number && call.state == CallState::Sent)
    }

    fn perform(&mut self, check: &mut Check, id: u32, session: &mut Session, action: Action<Shared>) -> Event<Shared> {
        let version = session.durable.as_ref().map(|(version, _)| *version);
        let write = match (&action, version) {
            (Action::Read, _) => return Event::Found(session.durable.clone()),
            (Action::Insert(_), Some(_)) => Write::Conflict,
            (Action::Update(..) | Action::Delete(_), None) => Write::Missing,
            (Action::Update(base, _) | Action::Delete(base), Some(version)) if *base != version => Write::Conflict,
            _ => {
                self.versions += 1;
                Write::Done(Version(self.versions))
            }
        };
        if let Write::Done(version) = write {
            session.durable_writes += 1;
            let before = session.durable.take();
            if let Action::Insert(record) | Action::Update(_, record) = action {
                check.wrote(id, before.map(|(_, record)| record).as_ref(), &record);
                session.durable = Some((version, Rc::clone(&record)));
            }
        }
        Event::Wrote(write)
    }

    /// An answer is back. Why a write was rejected is found out by a lookup, as the tier does.
    pub(crate) fn replied(&mut self, world: &mut World, attempt: Attempt, event: Event<Shared>) {
        if !self.is_under_way(attempt) {
            return;
        }
        let Some(call) = self.calls.get_mut(&attempt.call) else {
            return;
        };
        let node = call.node;
        self.nodes[usize::from(node)].under_way -= 1;
        self.send(world, node);
        let Some(call) = self.calls.get_mut(&attempt.call) else {
            return;
        };
        match event {
            Event::Wrote(Write::Conflict | Write::Missing) if !matches!(call.action, Action::Insert(_)) => {
                call.rejected = true;
                self.attempt(world, attempt.call);
            }
            Event::Found(found) if call.rejected => {
                let write = if found.is_some() {
                    Write::Conflict
                } else {
                    Write::Missing
                };
                self.end(world, attempt.call, Event::Wrote(write));
            }
            event => self.end(world, attempt.call, event),
        }
    }

    /// An attempt has had its time: a read is tried again, and so is a write that was not sent.
    pub(crate) fn attempt_ends(&mut self, world: &mut World, attempt: Attempt) {
        let Some(call) = self.calls.get_mut(&attempt.call) else {
            return;
        };
        if call.attempt != attempt.number || call.state == CallState::Paused {
            return;
        }
        let was_sent = call.state == CallState::Sent;
        call.state = CallState::Paused;
        call.tries += 1;
        let (node, tries, ends) = (call.node, call.tries, call.ends);
        let is_read = call.action == Action::Read || call.rejected;
        if was_sent {
            self.nodes[usize::from(node)].under_way -= 1;
            self.send(world, node);
        }
        if was_sent && !is_read {
            return self.end(world, attempt.call, Event::DurableUnknown);
        }
        let pause = (FIRST_PAUSE * 3u64.pow(tries.min(RETRIES) - 1)).min(SECOND);
        let at = world.calendar.now() + pause + world.rng.u64(0..pause);
        if tries > RETRIES || at >= ends {
            return self.end(world, attempt.call, Event::DurableFailed);
        }
        world.calendar.at(at, What::TryAgain(attempt.call));
    }

    fn end(&mut self, world: &mut World, id: u64, event: Event<Shared>) {
        if let Some(call) = self.calls.remove(&id) {
            self.nodes[usize::from(call.node)].calls -= 1;
            let now = world.calendar.now();
            world.calendar.at(now, What::Answer(call.caller, event, None));
        }
    }
}
