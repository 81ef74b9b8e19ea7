//! One call of an actor and its answer.

use session_runtime::__private::cascade::protocol::{Action, Event, Item};
use session_runtime::__private::session::meta::Millis;

use super::Setting;
use super::actor::{CallOutcome, Stage};
use super::record::Record;
use super::state::{InFlight, SystemState};

/// A time at which every cached value in the model is stale.
const LATER: Millis = Millis(1_000);

impl Setting {
    /// Makes one actor's call, and hands it the answer.
    pub(super) fn step(&self, state: &mut SystemState, index: usize, outcome: CallOutcome) {
        let mut actor = state.actors.remove(index);
        actor.start(state, self);
        let Some(action) = actor.pending.take() else { return };
        let is_fence = is_fence(&action);
        let call = action.clone();
        let (event, now) = match outcome {
            CallOutcome::Answered => (self.answer(state, &actor, action), Millis(0)),
            CallOutcome::Stale => {
                state.faults_left.stale_hits -= 1;
                (self.answer(state, &actor, action), LATER)
            }
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
        let is_stored =
            is_fence && !matches!(event, Event::CacheFailed | Event::CacheUnknown) && state.has_fence_of(&actor);
        actor.on(event.clone(), now, state, self);
        actor.precedes_fence = is_stored && actor.is_writing();
        if actor.pending.as_ref().is_none_or(is_to_cache) {
            actor.token = None;
        }
        self.disturb(state, &mut actor, &call, &event);
        if actor.stage != Stage::Done {
            state.actors.push(actor);
        }
    }

    fn lose(&self, state: &mut SystemState, actor: &super::Actor, action: Action<Record>) -> Event<Record> {
        let event = if is_to_cache(&action) {
            state.faults_left.cache_timeouts -= 1;
            self.after_silence(&action)
        } else {
            state.faults_left.durable_timeouts -= 1;
            Event::DurableUnknown
        };
        if action != Action::Get && !(self.large && is_large(&action)) {
            state.in_flight.push(InFlight {
                id: actor.id,
                action,
                precedes_fence: actor.precedes_fence,
            });
        }
        event
    }
}

pub(super) fn is_to_cache(action: &Action<Record>) -> bool {
    matches!(
        action,
        Action::Get | Action::Add(_) | Action::Set(_) | Action::Swap(..) | Action::Remove(_)
    )
}

pub(super) fn is_fence(action: &Action<Record>) -> bool {
    matches!(
        action,
        Action::Set(Item::Fence { .. }) | Action::Swap(_, Item::Fence { .. })
    )
}

pub(super) fn is_large(action: &Action<Record>) -> bool {
    match action {
        Action::Add(Item::Value { record, .. })
        | Action::Set(Item::Value { record, .. })
        | Action::Swap(_, Item::Value { record, .. }) => record.adds != 0,
        _ => false,
    }
}
