//! What can be asked of a session beside changes: another secret, an end, another lifetime.

use super::session::RequestSession;
use super::state::{Destroy, LastFailure, LoadState, PendingActions, Persistence, Phase, Staged};
use crate::cascade::CommitError;
use crate::session::Session;
use crate::session::changes::Changes;

impl RequestSession {
    /// Asks for more than changes.
    pub(super) fn add_action(&self, action: PendingActions) {
        let mut state = self.lock();
        if !state.check_late(self.schema.name, "a new secret, or a session that is to be kept,") {
            state.staged.actions |= action;
            state.last_failure = LastFailure::None;
        }
    }

    /// Stages the end of every current session that the client presented; what is staged from now on begins a new one.
    /// The generation of that.
    pub(super) fn destroy(&self) -> u32 {
        let mut state = self.lock();
        if state.check_late(self.schema.name, "a destroy") {
            return state.generation;
        }
        // Of what is dropped here.
        state.deferred_error = None;
        let mut is_superseded = false;
        let token = state.token.take();
        match (state.loaded.take(), token) {
            (Some(LoadState::Known(known)), Some(token)) => state.staged.destroys.push(Destroy {
                token,
                loaded: Some(known),
            }),
            (Some(LoadState::Superseded), token) => {
                // It stays so: nothing is written, and the client, which may have the new token by now, keeps it.
                (is_superseded, state.token) = (true, token);
                let session = self.schema.name;
                state.deferred_error = Some(CommitError::Superseded { session });
            }
            _ => {}
        }
        let others = std::mem::take(&mut state.other_tokens);
        let others = others.into_iter().map(|token| Destroy { token, loaded: None });
        state.staged.destroys.extend(others);
        if self.is_presented && !is_superseded {
            state.staged.actions |= PendingActions::REMOVE_TOKEN;
        }
        state.staged.actions -= PendingActions::ROTATE | PendingActions::ROTATE_NOW | PendingActions::TOUCH;
        if state.planned.is_none() {
            state.staged.actions -= PendingActions::KEEP;
        }
        state.staged.changes = Changes::default();
        state.persistent = None;
        state.loaded = Some(if is_superseded {
            LoadState::Superseded
        } else {
            LoadState::New
        });
        state.is_unreadable = false;
        state.generation += 1;
        state.last_failure = LastFailure::None;
        state.generation
    }

    /// Stages whether the client keeps its token beyond the browser's session.
    pub(super) fn set_persistence(&self, persistence: Persistence) {
        let persistent = persistence == Persistence::Remembered;
        let mut state = self.lock();
        if state.check_late(self.schema.name, "a persistence") {
            return;
        }
        // Also where the record says so already: a sign-in may begin another session yet.
        if state.persistent.replace(persistent) != Some(persistent) {
            state.last_failure = LastFailure::None;
        }
    }

    /// Drops the changes that were staged, and those that will be until the response is made. Destroys and rotations are
    /// carried out all the same.
    pub(super) fn discard(&self) {
        let mut state = self.lock();
        // A task that outlives the response has no say in what is committed with it.
        if state.phase != Phase::Open {
            return;
        }
        state.is_discarded = true;
        state.staged.changes = Changes::default();
        state.staged.actions -= PendingActions::KEEP | PendingActions::TOUCH;
        state.persistent = None;
        state.deferred_error = None;
    }

    /// Begins a new session in place of one that cannot be read; its generation. What is stored is not touched.
    pub(super) fn replace<T: Session>(&self) -> Option<u32> {
        if !self.is_of_type::<T>() {
            return None;
        }
        let mut state = self.lock();
        state.loaded = Some(LoadState::New);
        state.token = None;
        state.is_unreadable = false;
        state.staged = Staged::default();
        state.generation += 1;
        Some(state.generation)
    }
}
