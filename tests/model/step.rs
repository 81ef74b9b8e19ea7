//! One call of an actor and its answer.

use session_runtime::__private::cascade::protocol::{Action, Event, Item};
use session_runtime::__private::session::meta::Millis;

use super::Setting;
use super::actor::{Actor, CallOutcome, Stage};
use super::mutation::Mutation;
use super::record::Record;
use super::state::{InFlight, LONG, SystemState};

impl Setting {
    /// Makes one actor's call, and hands it the answer.
    pub(super) fn step(&self, state: &mut SystemState, index: usize, outcome: CallOutcome) {
        let mut actor = state.actors.remove(index);
        actor.start(state, self);
        let Some(action) = actor.pending.take() else { return };
        let is_fence = is_fence(&action);
        let call = action.clone();
        let mut now = state.now;
        let event = match outcome {
            CallOutcome::Answered => match actor.answer.take() {
                Some(answer) => answer,
                None => self.answer(state, &actor, action),
            },
            CallOutcome::Stale => {
                state.faults_left.stale_hits -= 1;
                now = Millis(now.0 + LONG);
                self.answer(state, &actor, action)
            }
            CallOutcome::Refused if is_to_cache(&action) => Event::CacheFailed,
            CallOutcome::Refused => {
                state.faults_left.outages -= 1;
                Event::DurableFailed
            }
            CallOutcome::TooLarge => {
                state.faults_left.outages -= 1;
                Event::DurableFull
            }
            CallOutcome::Applied => {
                actor.answer = Some(self.answer(state, &actor, action));
                actor.pending = Some(call);
                state.actors.push(actor);
                return;
            }
            CallOutcome::Lost => self.lose(state, &actor, action),
        };
        let is_stored =
            is_fence && !matches!(event, Event::CacheFailed | Event::CacheUnknown) && state.has_fence_of(&actor);
        actor.on(event.clone(), now, state, self);
        actor.precedes_fence = is_stored && actor.is_writing();
        if actor.pending.as_ref().is_none_or(is_to_cache) {
            actor.token = None;
        }
        self.disturb(state, &mut actor, &call, &event);
        match actor.stage {
            Stage::Done => {}
            Stage::Queued(..) => state.queue.waiting.push(actor),
            Stage::Joined => {
                let loads = |actor: &Actor| actor.leads && matches!(actor.stage, Stage::Load(_));
                let is_loading = state.actors.iter().any(loads);
                state.shared_load.wait(actor, is_loading, self.mutation);
            }
            _ => state.actors.push(actor),
        }
    }

    /// Drops the driver of an actor: its call may be applied at any later time.
    fn drop_driver(&self, state: &mut SystemState, index: usize) -> Actor {
        let mut actor = state.actors.remove(index);
        let writes = |action: &Action<Record>| !matches!(action, Action::Get | Action::Read);
        let is_large = |action: &Action<Record>| self.large && is_large(action);
        if let Some(action) = actor
            .pending
            .take()
            .filter(|action| writes(action) && !is_large(action))
        {
            state.in_flight.push(InFlight {
                id: actor.id,
                action,
                precedes_fence: actor.precedes_fence,
            });
        }
        actor.end_load(state, self);
        actor
    }

    /// An actor's process dies.
    pub(super) fn crash(&self, state: &mut SystemState, index: usize) {
        state.faults_left.crashes -= 1;
        self.drop_driver(state, index);
    }

    /// A commit's time runs out. What it leaves unsettled is settled in the background.
    pub(super) fn cut(&self, state: &mut SystemState, index: usize) {
        state.faults_left.cuts -= 1;
        let mut actor = self.drop_driver(state, index);
        let Stage::Commit(commit) = std::mem::replace(&mut actor.stage, Stage::Done) else {
            return;
        };
        if let Some(settle) = commit.unsettled().filter(|_| self.mutation != Mutation::CutShort) {
            actor.token = None;
            actor.precedes_fence = false;
            actor.repair(settle, 0, state.now);
            state.actors.push(actor.clone());
        }
        if self.is_queued(&actor) {
            state.pass_turn(self);
        }
    }

    fn lose(&self, state: &mut SystemState, actor: &Actor, action: Action<Record>) -> Event<Record> {
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
