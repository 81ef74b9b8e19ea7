//! Readers of one process that share their loads: whoever comes during a load waits for its end, and then one of those who
//! wait loads for all of them.

use session_runtime::__private::cascade::protocol::LoadEnd;

use super::Setting;
use super::actor::{Actor, Stage};
use super::mutation::Mutation;
use super::record::Record;
use super::state::SystemState;

/// The readers that wait while another one loads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct SharedLoad {
    /// Those who get what the load finds.
    joined: Vec<Actor>,
    /// Those who came while it was under way.
    waiting: Vec<Actor>,
}

impl SharedLoad {
    pub(super) fn is_empty(&self) -> bool {
        self.joined.is_empty() && self.waiting.is_empty()
    }

    /// Adds a reader that has come during a load.
    pub(super) fn wait(&mut self, reader: Actor, is_loading: bool, mutation: Mutation) {
        if mutation == Mutation::JoinInFlight && is_loading {
            self.joined.push(reader);
        } else {
            self.waiting.push(reader);
        }
    }
}

impl Actor {
    /// Whether this reader, which is about to read the durable tier, has to wait for the load of another. One that has
    /// left a lease has to fill, and reads all the same.
    pub(super) fn waits(&mut self, has_lease: bool, state: &SystemState) -> bool {
        if self.leads {
            return false;
        }
        let is_first = !state.actors.iter().any(|actor| actor.leads);
        self.leads = is_first;
        if is_first || has_lease {
            return false;
        }
        self.stage = Stage::Joined;
        self.lease = None;
        true
    }

    /// The load and its fill have ended, or are given up: the last of those who wait begins its load again, for all.
    pub(super) fn end_load(&mut self, state: &mut SystemState, setting: &Setting) {
        if !std::mem::take(&mut self.leads) {
            return;
        }
        let mut waiting = std::mem::take(&mut state.shared_load.joined);
        waiting.append(&mut state.shared_load.waiting);
        let Some(mut next) = waiting.pop() else { return };
        state.shared_load.joined = waiting;
        next.leads = true;
        next.load(state, setting);
        state.actors.push(next);
    }
}

impl SystemState {
    /// Tells those who have joined what was loaded.
    pub(super) fn publish(&mut self, end: &LoadEnd<Record>, setting: &Setting) {
        for mut reader in std::mem::take(&mut self.shared_load.joined) {
            reader.stage = Stage::Done;
            reader.loaded(end.without_fill(), self, setting);
            if reader.stage != Stage::Done {
                self.actors.push(reader);
            }
        }
    }
}
