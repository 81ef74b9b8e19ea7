//! The coherence protocol under a model checker: the state machines that the store runs, in every interleaving of a few
//! requests, the tiers and their faults.
//!
//! There is one key, a cache that may evict, and a durable tier with a compare-and-swap. A tier applies each call
//! atomically, and every order of the calls is tried. The clock stands still: a delay or an expiry is a fault like any
//! other.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the number of states is printed, and a test that cannot go on fails"
)]

mod actor;
mod explore;
mod holds;
mod mutation;
mod mutations;
mod owners;
mod queue;
mod record;
mod shared;
mod single;
mod state;
mod step;
mod writer;

use stateright::{Model, Property};

use session_runtime::__private::cascade::protocol::{Action, Item};
use session_runtime::__private::session::meta::Millis;
use session_runtime::tier::Version;

use actor::{Actor, CallOutcome, Stage};
use mutation::Mutation;
use record::{MAX_NONCES, Record, Role};
use state::{Faults, SystemState, Violation};
use step::is_to_cache;

/// Whether to explore more actors and faults, which takes minutes: `SESSION_MODEL=deep`.
fn is_deep() -> bool {
    std::env::var("SESSION_MODEL").is_ok_and(|bound| bound == "deep")
}

/// Which writers set a fence before their first durable write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fences {
    /// Those who must, and those whose load did not hit.
    #[default]
    Needed,
    /// All.
    All,
}

/// What is explored: the actors, the faults that may happen to them, and how the protocol is changed.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a scenario of its own")]
struct Setting {
    roles: Vec<Role>,
    faults: Faults,
    mutation: Mutation,
    /// Whether no load may see less than an earlier one did, acknowledged or not.
    monotonic: bool,
    fences: Fences,
    cache_only: bool,
    /// The actor whose cache calls all fail.
    partitioned: Option<u8>,
    /// Whether a record with an update in it is too large for the cache.
    large: bool,
    /// How many nonces a record keeps (default: two).
    kept_nonces: Option<usize>,
    /// How many of the writers, the first ones, are of one process, and wait for one another.
    queued_writers: u8,
    /// Whether all are of one process, and share their loads.
    shared_loads: bool,
}

/// A transition of the model. Indices are those of the actors, or of the calls in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    /// An actor makes its next call.
    Step(usize, CallOutcome),
    /// An actor crashes.
    Crash(usize),
    /// A commit's time runs out.
    Cut(usize),
    /// A tier applies a call in flight.
    Deliver(usize),
    /// The cache evicts its item.
    Evict,
    /// The item in the cache expires.
    Expire,
    /// Much time passes.
    Wait,
}

impl Setting {
    fn moves_of(&self, state: &SystemState, index: usize, actor: &Actor, moves: &mut Vec<Move>) {
        if actor.stage == Stage::Idle && !state.is_cookie_sent && actor.role != Role::Create {
            return;
        }
        let faults_left = state.faults_left;
        let step = |outcome| Move::Step(index, outcome);
        let mut started = None;
        let next = if actor.stage == Stage::Idle {
            let next = started.insert(actor.clone());
            next.start(state, self);
            next
        } else {
            actor
        };
        let Some(call) = &next.pending else { return };
        if actor.answer.is_some() {
            moves.push(step(CallOutcome::Answered));
            return;
        }
        let to_cache = is_to_cache(call);
        if to_cache && self.partitioned == Some(actor.id) {
            moves.push(step(CallOutcome::Refused));
        } else {
            let is_shared = self.shared_loads && actor.leads && *call == Action::Read;
            moves.push(step(if is_shared {
                CallOutcome::Applied
            } else {
                CallOutcome::Answered
            }));
            let timeouts = if to_cache {
                faults_left.cache_timeouts
            } else {
                faults_left.durable_timeouts
            };
            if timeouts > 0 && *call != Action::Read {
                moves.push(step(CallOutcome::Lost));
            }
            if !to_cache && faults_left.outages > 0 {
                moves.push(step(CallOutcome::Refused));
                if matches!(call, Action::Insert(_) | Action::Update(..)) {
                    moves.push(step(CallOutcome::TooLarge));
                }
            }
            let loads = matches!(actor.stage, Stage::Idle) && *call == Action::Get;
            if loads && faults_left.stale_hits > 0 && matches!(state.cache, Some((Item::Value { .. }, _))) {
                moves.push(step(CallOutcome::Stale));
            }
        }
        if faults_left.crashes > 0 && actor.stage != Stage::Idle {
            moves.push(Move::Crash(index));
        }
        if faults_left.cuts > 0 && matches!(actor.stage, Stage::Commit(_)) {
            moves.push(Move::Cut(index));
        }
    }
}

impl Model for Setting {
    type State = SystemState;
    type Action = Move;

    fn init_states(&self) -> Vec<SystemState> {
        let number = |role: &Role, next: &mut u8| {
            if matches!(role, Role::Read(_)) {
                return 0;
            }
            *next += 1;
            *next
        };
        let mut next = 0;
        let actors: Vec<Actor> = self
            .roles
            .iter()
            .map(|role| Actor::new(number(role, &mut next), *role))
            .collect();
        let is_new = self.roles.contains(&Role::Create);
        let mut state = SystemState::new((!is_new && !self.cache_only).then(Record::default), actors, self.faults);
        state.is_cookie_sent = !is_new;
        state.normalize();
        let mut filled = state.clone();
        filled.store(Item::Value {
            version: Version(u64::from(!self.cache_only)),
            asked_at: Millis(0),
            record: Record::default(),
        });
        match (is_new, self.cache_only) {
            (true, _) => vec![state],
            (false, true) => vec![filled],
            (false, false) => vec![state, filled],
        }
    }

    fn actions(&self, state: &SystemState, moves: &mut Vec<Move>) {
        if state.violation.is_some() {
            return;
        }
        for (index, actor) in state.actors.iter().enumerate() {
            // A move of either of two equal actors leads to the same state.
            if index == 0 || state.actors[index - 1] != *actor {
                self.moves_of(state, index, actor, moves);
            }
        }
        moves.extend((0..state.in_flight.len()).map(Move::Deliver));
        if state.faults_left.hours > 0 {
            moves.push(Move::Wait);
        }
        if let Some((item, _)) = &state.cache {
            let evicts_this = state.faults_left.evictions_but_fences > 0 && !matches!(item, Item::Fence { .. });
            if state.faults_left.evictions > 0 || evicts_this {
                moves.push(Move::Evict);
            }
            if state.may_expire(self.mutation) && !self.cache_only {
                moves.push(Move::Expire);
            }
        }
    }

    fn next_state(&self, state: &SystemState, next: Move) -> Option<SystemState> {
        let mut state = state.clone();
        match next {
            Move::Step(index, outcome) => self.step(&mut state, index, outcome),
            Move::Crash(index) => self.crash(&mut state, index),
            Move::Cut(index) => self.cut(&mut state, index),
            Move::Wait => state.wait(),
            Move::Deliver(index) => {
                let action = state.in_flight.remove(index).action;
                state.apply(action);
            }
            Move::Evict => {
                let is_fence = matches!(state.cache, Some((Item::Fence { .. }, _)));
                if !is_fence && state.faults_left.evictions_but_fences > 0 {
                    state.faults_left.evictions_but_fences -= 1;
                } else {
                    state.faults_left.evictions -= 1;
                }
                state.clear_cache();
                state.repeats_tokens = self.mutation == Mutation::RepeatTokens;
            }
            Move::Expire => state.expire(),
        }
        state.normalize();
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(BACK, |_, state: &SystemState| {
                state.violation != Some(Violation::WentBack)
            }),
            Property::always(ACKNOWLEDGED, |_, state: &SystemState| {
                state.violation != Some(Violation::MissedAcknowledged)
            }),
            Property::always(DEAD, |setting: &Self, state: &SystemState| {
                state.violation != Some(Violation::ServedDestroyed)
                    && !(state.destroyed && setting.authority(state).is_some())
            }),
            Property::always(LOST, |setting: &Self, state: &SystemState| {
                let has = |record: &Record| record.adds & state.acknowledged == state.acknowledged;
                setting.authority(state).is_none_or(has)
            }),
            Property::always(ROTATION, |setting: &Self, state: &SystemState| {
                let kept_nonces = |record: &Record| !setting.has_rotated(state) || record.secret != 0;
                setting.authority(state).is_none_or(kept_nonces)
            }),
            Property::always(ONCE, |setting: &Self, state: &SystemState| {
                let once = |record: &Record| !record.applied_twice && record.adds & state.rejected == 0;
                setting.authority(state).is_none_or(once)
            }),
            Property::always(GONE, |_, state: &SystemState| {
                state.violation != Some(Violation::LivingReportedGone)
            }),
            Property::always(CLEAN, |setting: &Self, state: &SystemState| {
                let has_no_fault = state.faults_left == setting.faults && setting.partitioned.is_none();
                let is_at_rest = state.actors.is_empty() && has_no_fault && !setting.large;
                let has_leftover = matches!(state.cache, Some((Item::Fence { .. } | Item::Lease(_), _)));
                !(is_at_rest && has_leftover)
            }),
            Property::always(FRESH, |setting: &Self, state: &SystemState| {
                !(setting.is_at_rest(state) && state.has_old_value())
            }),
            Property::eventually(ENDS, |_, state: &SystemState| {
                state.is_finished() || state.violation.is_some()
            }),
            Property::sometimes(WORKS, |_, state: &SystemState| {
                state.is_cookie_sent && state.is_finished()
            }),
        ]
    }
}

const BACK: &str = "no load sees less than an earlier one";
const ACKNOWLEDGED: &str = "no load sees less than was acknowledged";
const DEAD: &str = "a destroyed session is neither served nor stored again";
const LOST: &str = "no acknowledged update is lost";
const ROTATION: &str = "no acknowledged rotation is undone";
const ONCE: &str = "no update is applied twice, or after its failure";
const GONE: &str = "no existing session is reported as gone";
const CLEAN: &str = "without faults, nobody leaves a fence or a lease behind";
const FRESH: &str = "what the cache shows in the end is what the durable tier has";
const ENDS: &str = "everyone finishes";
const WORKS: &str = "everyone can finish";

impl Setting {
    fn kept_nonces(&self) -> usize {
        self.kept_nonces.unwrap_or(MAX_NONCES)
    }

    /// The record in the authoritative tier.
    fn authority<'a>(&self, state: &'a SystemState) -> Option<&'a Record> {
        if !self.cache_only {
            return state.durable.as_ref().map(|(_, record)| record);
        }
        match &state.cache {
            Some((Item::Value { record, .. }, _)) => Some(record),
            _ => None,
        }
    }

    /// Whether everyone has finished, and nothing has happened that excuses an old value in the cache.
    fn is_at_rest(&self, state: &SystemState) -> bool {
        let (left, all) = (state.faults_left, self.faults);
        let evictions = (left.evictions, left.evictions_but_fences) == (all.evictions, all.evictions_but_fences);
        let time = (left.hours, left.slow_writers) == (all.hours, all.slow_writers);
        let tiers = left.outages == all.outages && left.crashes == all.crashes;
        state.actors.is_empty() && evictions && time && tiers && !self.cache_only
    }

    fn has_rotated(&self, state: &SystemState) -> bool {
        let writers = self.roles.iter().filter(|role| !matches!(role, Role::Read(_)));
        let mut rotators = writers
            .zip(1..)
            .filter(|(role, _)| matches!(role, Role::Rotate | Role::SignIn));
        rotators.any(|(_, id)| state.acknowledged & (1 << id) != 0)
    }
}
