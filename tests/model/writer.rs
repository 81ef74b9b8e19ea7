//! What an actor writes once it has loaded, and what becomes of it.

use session_runtime::__private::cascade::protocol::{
    CacheCommit, Change, CommitEnd, CreateEnd, DurableCommit, Failure, Goal, Machine, Settle, VersionedRecord,
};

use super::actor::{Actor, Stage};
use super::mutation::Mutation;
use super::record::{Edit, Patch, Record, Refused, Role};
use super::state::{GONE, SystemState, Violation};
use super::{Fences, Setting};

impl Actor {
    /// Starts what the role does after a load.
    pub(super) fn next(&mut self, found: Option<VersionedRecord<Record>>, state: &mut SystemState, setting: &Setting) {
        self.since = (0, 0);
        if let Role::Read(loads) = &mut self.role {
            *loads -= 1;
            if *loads > 0 {
                self.stage = Stage::Idle;
            }
            return;
        }
        let Some(found) = found else { return };
        let patch = Patch::new(self.id, self.role, found.record);
        if setting.is_queued(self) && state.has_writer_of_the_queue(setting) {
            self.token = found.cached.map(|cached| cached.token);
            self.stage = Stage::Queued(found, patch);
        } else {
            self.write(&found, patch, &[], state, setting);
        }
    }

    /// Writes a patch, and those of followers, where they can be made.
    pub(super) fn write(
        &mut self,
        loaded: &VersionedRecord<Record>,
        patch: Patch,
        followers: &[Patch],
        state: &mut SystemState,
        setting: &Setting,
    ) {
        let &VersionedRecord {
            version,
            record,
            cached,
        } = loaded;
        self.token = None;
        let mut edit = Edit::new(patch, followers, setting);
        let (goal, made) = if self.role == Role::Destroy {
            let may_destroy = edit.may_destroy(&record);
            (Goal::Destroy, may_destroy.then_some(record).ok_or(Refused))
        } else {
            (Goal::Change, edit.apply(&record))
        };
        let Ok(written) = made else {
            state.rejected |= edit.writers();
            return;
        };
        let (step, running) = if setting.cache_only {
            let Some(cached) = cached else { return };
            let mut commit = CacheCommit::new(goal, edit, written, Some(cached.token));
            (commit.begin(state.now), Stage::CacheCommit(commit))
        } else {
            let mut commit = DurableCommit::new(goal, edit, version, written, true, self.fence());
            if let Some(cached) = cached {
                let fences =
                    setting.fences == Fences::All || matches!(self.role, Role::Destroy | Role::Rotate | Role::SignIn);
                commit = if fences {
                    commit.replacing(cached, record)
                } else {
                    self.token = Some(cached.token);
                    commit.without_fence(cached.token)
                };
            }
            (commit.begin(state.now), Stage::Commit(commit))
        };
        self.go(step, running, |_, _| {});
    }

    pub(super) fn committed(
        &mut self,
        end: CommitEnd<Record, Refused>,
        edit: &Edit,
        state: &mut SystemState,
        setting: &Setting,
    ) {
        let mut stored = None;
        match end {
            CommitEnd::Changed {
                version,
                record,
                unsettled,
                ..
            } => {
                let refused = match setting.mutation {
                    Mutation::AcknowledgeRefused => 0,
                    _ => edit.refused(),
                };
                state.acknowledged |= edit.writers() & !refused;
                state.rejected |= refused;
                self.settled(unsettled, version.0, state);
                stored = Some((version, record));
            }
            CommitEnd::Destroyed { unsettled, .. } => {
                state.destroyed = true;
                self.settled(unsettled, GONE, state);
            }
            CommitEnd::Failed {
                failure: Failure::Unknown,
                unsettled,
            } => {
                // These were in no attempt that was applied, or still may be.
                state.rejected |= edit.refused();
                self.settled(unsettled, 0, state);
            }
            CommitEnd::Failed { failure, .. } => {
                state.rejected |= edit.writers();
                let may_be_forgotten = self.role == Role::Destroy;
                if failure == Failure::Gone && state.durable.is_some() && !may_be_forgotten {
                    state.violation = Some(Violation::LivingReportedGone);
                }
            }
        }
        if setting.is_queued(self) {
            state.hand_over(stored, setting);
        }
    }

    /// What is acknowledged must be seen from the moment on when the cache is settled.
    fn settled(&mut self, unsettled: Option<Settle<Record>>, version: u64, state: &mut SystemState) {
        if let Some(settle) = unsettled {
            self.repair(settle, version, state.now);
        } else {
            state.settled = state.settled.max(version);
        }
    }

    pub(super) fn created(&mut self, end: CreateEnd, state: &mut SystemState, setting: &Setting) {
        match end {
            CreateEnd::Done { .. } => {
                state.is_cookie_sent = true;
                state.acknowledged |= 1 << self.id;
            }
            CreateEnd::StartOver { .. } if setting.mutation == Mutation::SameKey && state.durable.is_none() => {
                self.stage = Stage::Idle;
            }
            CreateEnd::StartOver { .. } => {}
            CreateEnd::Unavailable | CreateEnd::TooLarge => state.rejected |= 1 << self.id,
        }
    }
}
