//! Decides what a commit is to do.

use super::session::RequestSession;
use super::state::{Destroy, LoadState, PendingActions, Staged, State};
use super::token::SessionToken;
use crate::cascade::CommitError;
use crate::cascade::protocol::VersionedRecord;
use crate::session::changes::Changes;
use crate::session::record::Record;
use crate::tier::Tiers;

/// What is to become of the session once the destroys are done.
pub(super) enum Plan {
    Nothing,
    /// There is no session, and the client is to forget its token.
    RemoveToken,
    Create,
    Write {
        loaded: VersionedRecord<Record>,
        presented: SessionToken,
        rotation: Option<NewSecret>,
        /// Whether the handler asked for it. What the store does on its own may fail.
        is_asked: bool,
    },
}

/// A secret that the session is to get.
#[derive(Clone, Copy)]
pub(super) struct NewSecret {
    pub(super) token: SessionToken,
    pub(super) ends_at_once: bool,
}

impl RequestSession {
    /// Takes out of the state what is staged and of which generation it is, and decides what to do with it.
    pub(super) fn take_plan(&self) -> (Staged, u32, Result<Plan, CommitError>) {
        let mut state = self.lock();
        if !self.tiers.intersects(Tiers::DISTRIBUTED) {
            // The changes stay: the request's memory is the only tier, and the next extraction finds them there.
            state.staged.actions = PendingActions::empty();
            state.staged.destroys.clear();
            return (Staged::default(), state.generation, Ok(Plan::Nothing));
        }
        let mut staged = std::mem::take(&mut state.staged);
        if state.is_discarded {
            staged.changes = Changes::default();
            staged.actions -= PendingActions::KEEP | PendingActions::TOUCH;
            state.persistent = None;
        }
        state.staged.actions = staged.actions & PendingActions::KEEP;
        let plan = match state.deferred_error.take() {
            // A destroy that is refused keeps nobody from signing in.
            Some(CommitError::Superseded { .. })
                if matches!(state.loaded, Some(LoadState::Superseded)) && staged.changes.privileged().is_some() =>
            {
                Ok(Plan::Create)
            }
            Some(error) => Err(error),
            None => self.plan_or_begin_anew(&mut state, &mut staged),
        };
        (staged, state.generation, plan)
    }

    /// Ends a session that is to get another owner than it has or had, and begins a new one for that.
    fn plan_or_begin_anew(&self, state: &mut State, staged: &mut Staged) -> Result<Plan, CommitError> {
        if let (Some(LoadState::Known(known)), Some(token)) = (&state.loaded, state.token)
            && self.names_another_owner(&staged.changes, &known.record)
        {
            let loaded = Some(known.clone());
            staged.destroys.push(Destroy { token, loaded });
            return Ok(Plan::Create);
        }
        self.plan(state, staged)
    }

    /// Whether the plan would be to do nothing. Takes nothing out of the state.
    pub(super) fn plans_nothing(&self) -> bool {
        if !self.schema.tiers.intersects(Tiers::DISTRIBUTED) {
            return true;
        }
        let state = self.lock();
        let Staged { destroys, changes, .. } = &state.staged;
        destroys.is_empty()
            && changes.is_empty()
            && state.deferred_error.is_none()
            && matches!(self.plan(&state, &state.staged), Ok(Plan::Nothing))
    }

    fn plan(&self, state: &State, staged: &Staged) -> Result<Plan, CommitError> {
        let session = self.schema.name;
        let Staged { changes, actions, .. } = staged;
        let rotates = actions.intersects(PendingActions::ROTATE | PendingActions::ROTATE_NOW);
        let is_dirty = !changes.is_empty() || rotates;
        let without = if actions.contains(PendingActions::REMOVE_TOKEN) {
            Plan::RemoveToken
        } else {
            Plan::Nothing
        };
        match (&state.loaded, state.token) {
            (None, _) => Ok(Plan::Nothing),
            (Some(LoadState::Known(known)), Some(token)) => self.plan_write(state, staged, known, token),
            // Whoever signs in gets a session of its own. It never joins the one that has another secret now, so that
            // nobody who planted the secret gets there.
            (Some(LoadState::Superseded), _) if changes.privileged().is_some() => Ok(Plan::Create),
            (Some(LoadState::Superseded), _) if is_dirty => Err(CommitError::Superseded { session }),
            (Some(LoadState::Gone), _) if is_dirty => Err(CommitError::Gone { session }),
            (Some(LoadState::New | LoadState::Known(_)), _)
                if !changes.is_empty() || actions.contains(PendingActions::KEEP) =>
            {
                Ok(Plan::Create)
            }
            (Some(_), _) => Ok(without),
        }
    }

    fn plan_write(
        &self,
        state: &State,
        Staged { changes, actions, .. }: &Staged,
        known: &VersionedRecord<Record>,
        presented: SessionToken,
    ) -> Result<Plan, CommitError> {
        let is_privileged = changes.privileged().is_some();
        let is_asked = actions.intersects(PendingActions::ROTATE | PendingActions::ROTATE_NOW);
        // A detached session has no response to carry a new secret.
        let is_due = || !self.is_detached && self.store.is_due_for_rotation(known.record.meta());
        let rotates = is_privileged || is_asked || (!state.is_unreadable && is_due());
        let is_touched = actions.contains(PendingActions::TOUCH);
        let renews = || {
            !state.is_unreadable
                && (self.store.is_due_for_renewal(known.record.meta())
                    || self.owner_to_enter_late(&known.record).is_some())
        };
        let kept = known.record.meta().persistent;
        let persists = state.persistent.is_some_and(|persistent| kept != Some(persistent));
        if changes.is_empty() && !rotates && !is_touched && !persists && !renews() {
            return Ok(Plan::Nothing);
        }
        let new_secret = || -> Result<NewSecret, CommitError> {
            Ok(NewSecret {
                token: presented.with_new_secret().map_err(|_| self.no_random())?,
                ends_at_once: is_privileged || actions.contains(PendingActions::ROTATE_NOW),
            })
        };
        Ok(Plan::Write {
            loaded: known.clone(),
            presented,
            is_asked: is_asked || is_touched || !changes.is_empty() || persists,
            rotation: rotates.then(new_secret).transpose()?,
        })
    }
}
