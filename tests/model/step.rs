//! One call of an actor and its answer, by the protocol as it is or with a mutation.

use session_runtime::__private::cascade::protocol::{Action, Event, Item};
use session_runtime::__private::session::meta::{Millis, Nonce};
use session_runtime::tier::{Swap, Token, Write};

use super::Setting;
use super::record::{Record, Role};
use super::state::SystemState;
use crate::actor::{Actor, CallOutcome, Stage};

/// A time at which every cached value in the model is stale.
const LATER: Millis = Millis(1_000);

/// A change that breaks the protocol, to show that the model notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mutation {
    /// The protocol as it is.
    #[default]
    None,
    /// After a conflict the writer relies on its first fence.
    OneFence,
    /// The durable record is deleted at any version.
    BlindDelete,
    /// The write is acknowledged before the cache is settled.
    AnswerEarly,
    /// Readers place leases, writers place no fences.
    NoFence,
    /// Cache-aside: readers fill the cache without a lease, and writers place no fences.
    CacheAside,
    /// A fence whose `set` was not answered is taken to be in place.
    TrustFence,
    /// A writer takes the conflict with its own late write for success.
    TrustConflict,
    /// A writer leaves another's fence, even one whose writer may restore an older record.
    LeaveOldFence,
    /// An insert that may still be applied is sent again under the same key.
    SameKey,
}

impl Setting {
    /// Makes one actor's call, and hands it the answer.
    pub(super) fn step(&self, state: &mut SystemState, index: usize, outcome: CallOutcome) {
        let mut actor = state.actors.remove(index);
        actor.start(state, self);
        let Some(action) = actor.pending.take() else { return };
        let (event, now) = match outcome {
            CallOutcome::Answered => (self.answer(state, &actor, action), Millis(0)),
            CallOutcome::Stale => (self.answer(state, &actor, action), LATER),
            CallOutcome::Refused if is_to_cache(&action) => (Event::CacheFailed, Millis(0)),
            CallOutcome::Refused => {
                state.faults_left.outages -= 1;
                (Event::DurableFailed, Millis(0))
            }
            CallOutcome::TooLarge => {
                state.faults_left.outages -= 1;
                (Event::DurableFull, Millis(0))
            }
            CallOutcome::Lost => (self.lose(state, &actor, action), Millis(0)),
        };
        if outcome == CallOutcome::Stale {
            state.faults_left.stale_hits -= 1;
        }
        if self.mutation == Mutation::AnswerEarly
            && let (Event::Wrote(Write::Done(version)), Role::Add) = (&event, actor.role)
        {
            state.settled = state.settled.max(version.0);
        }
        actor.conflicted |= self.mutation == Mutation::OneFence && event == Event::Wrote(Write::Conflict);
        actor.on(event, now, state, self);
        if actor.conflicted && matches!(&actor.stage, Stage::Commit(_)) && actor.pending.as_ref().is_some_and(is_fence)
        {
            actor.on(Event::WasSet, Millis(0), state, self);
        }
        if actor.stage != Stage::Done {
            state.actors.push(actor);
        }
    }

    fn lose(&self, state: &mut SystemState, actor: &Actor, action: Action<Record>) -> Event<Record> {
        let to_cache = is_to_cache(&action);
        let is_fence = is_fence(&action);
        if action != Action::Get && !(self.large && is_large(&action)) {
            state.in_flight.push((actor.id, action));
        }
        if !to_cache {
            state.faults_left.durable_timeouts -= 1;
            return Event::DurableUnknown;
        }
        state.faults_left.cache_timeouts -= 1;
        if is_fence && self.mutation == Mutation::TrustFence {
            return Event::WasSet;
        }
        Event::CacheFailed
    }

    /// The answer of the tiers. A mutation makes another call, or changes the answer.
    fn answer(&self, state: &mut SystemState, actor: &Actor, action: Action<Record>) -> Event<Record> {
        if self.large && is_large(&action) {
            return Event::CacheFull;
        }
        match (self.mutation, action) {
            (Mutation::BlindDelete, Action::Delete(base)) => {
                let base = state.durable.as_ref().map_or(base, |(version, _)| *version);
                state.apply(Action::Delete(base))
            }
            (Mutation::NoFence | Mutation::CacheAside, action) if is_fence(&action) => match action {
                Action::Swap(..) => Event::Swapped(Swap::Done),
                _ => Event::WasSet,
            },
            (Mutation::CacheAside, Action::Add(Item::Lease(_))) => Event::Added(true),
            (Mutation::CacheAside, Action::Get) if matches!(actor.stage, Stage::Fill(_)) => {
                let lease = Item::Lease(Nonce(actor.lease.unwrap_or_default()));
                Event::Got(Some((lease, Token(0))))
            }
            (Mutation::CacheAside, Action::Swap(_, item)) if matches!(actor.stage, Stage::Fill(_)) => {
                state.apply(Action::Set(item));
                Event::Swapped(Swap::Done)
            }
            (Mutation::LeaveOldFence, Action::Get) if matches!(actor.stage, Stage::Commit(_)) => {
                match state.apply(Action::Get) {
                    Event::Got(Some((Item::Fence { writer, .. }, token))) => Event::Got(Some((
                        Item::Fence {
                            writer,
                            replaced_version: None,
                        },
                        token,
                    ))),
                    event => event,
                }
            }
            (Mutation::TrustConflict, Action::Update(base, record)) => {
                let event = state.apply(Action::Update(base, record.clone()));
                match &state.durable {
                    Some((version, stored)) if *stored == record => Event::Wrote(Write::Done(*version)),
                    _ => event,
                }
            }
            (_, action) => state.apply(action),
        }
    }
}

pub(super) fn is_to_cache(action: &Action<Record>) -> bool {
    matches!(
        action,
        Action::Get | Action::Add(_) | Action::Set(_) | Action::Swap(..) | Action::Remove(_)
    )
}

fn is_fence(action: &Action<Record>) -> bool {
    matches!(
        action,
        Action::Set(Item::Fence { .. }) | Action::Swap(_, Item::Fence { .. })
    )
}

fn is_large(action: &Action<Record>) -> bool {
    match action {
        Action::Add(Item::Value { record, .. })
        | Action::Set(Item::Value { record, .. })
        | Action::Swap(_, Item::Value { record, .. }) => record.adds != 0,
        _ => false,
    }
}
