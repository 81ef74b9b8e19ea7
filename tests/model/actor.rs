//! Actors: each runs the protocol's machines for one request, or for what a request leaves running in the background.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use rustc_hash::FxHasher;
use session_runtime::__private::cascade::protocol::{
    self, Action, CacheCommit, CacheCreate, CacheLoad, CommitEnd, Create, CreateEnd, DurableCommit, Event, Failure,
    Fill, Goal, Item, LoadEnd, Machine, Settle, SettleOutcome, Step, VersionedRecord,
};
use session_runtime::__private::session::meta::{Millis, Nonce};
use session_runtime::tier::Token;

use super::mutation::Mutation;
use super::record::{Edit, Record, Refused, Role};
use super::state::{GONE, SystemState, Violation, is_durable_write};
use super::{Fences, Setting};

const MAX_STALENESS: Duration = Duration::from_millis(1);

/// One request, or what it left running in the background.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Actor {
    pub(super) id: u8,
    pub(super) role: Role,
    /// The nonce of the lease that it may hold.
    pub(super) lease: Option<u64>,
    /// The latest version seen, and the latest acknowledged, when its load began.
    since: (u64, u64),
    pub(super) stage: Stage,
    /// The token that it swaps when its durable write, which has no fence, is applied.
    pub(super) token: Option<Token>,
    /// A call that a mutation remembers.
    pub(super) remembered: Option<Action<Record>>,
    /// Whether its pending call is a durable write, and the cache holds a fence that was stored when that was pending
    /// already, or right before.
    pub(super) precedes_fence: bool,
    /// The call that it makes next.
    pub(super) pending: Option<Action<Record>>,
}

/// The machine that an actor runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Idle,
    Load(Load),
    Fill(Fill<Record>),
    Commit(DurableCommit<Record, Edit>),
    Create(Create<Record, Edit>),
    /// Settles a cache that the commit could not settle, for a write of this version.
    Repair(Settle<Record>, u64),
    CacheCommit(CacheCommit<Record, Edit>),
    CacheCreate(CacheCreate<Record, Edit>),
    Done,
}

/// The two ways to load.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Load {
    Cascade(protocol::Load),
    CacheOnly(CacheLoad),
}

/// What happens to the actor's next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum CallOutcome {
    Answered,
    /// There is no answer, and the call may take effect later.
    Lost,
    /// It fails, and certainly has no effect.
    Refused,
    /// The record is too large for the durable tier.
    TooLarge,
    /// The cached record is older than the maximum staleness.
    Stale,
}

/// A hash that is the same in every run.
pub(super) fn stable_hash(value: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Actor {
    pub(super) fn new(id: u8, role: Role) -> Self {
        Self {
            id,
            role,
            lease: None,
            since: (0, 0),
            token: None,
            remembered: None,
            precedes_fence: false,
            stage: Stage::Idle,
            pending: None,
        }
    }

    pub(super) fn fence(&self) -> Nonce {
        Nonce(100 + u64::from(self.id))
    }

    pub(super) fn is_writing(&self) -> bool {
        self.pending.as_ref().is_some_and(is_durable_write)
    }

    pub(super) fn stable_hash(&self) -> u64 {
        stable_hash(self)
    }

    /// Starts an idle actor. Its first call belongs to the same transition, so that its load begins as late as possible:
    /// that makes the strictest demand on what the load sees.
    pub(super) fn start(&mut self, state: &SystemState, setting: &Setting) {
        if self.stage != Stage::Idle {
            return;
        }
        self.since = (state.seen, state.settled);
        if self.role == Role::Create {
            let edit = Edit::new(self.id, self.role, Record::default(), setting.kept_nonces());
            let record = edit.applied_to(Record::default());
            if setting.cache_only {
                let mut machine = CacheCreate::new(record, edit);
                let step = machine.begin(Millis(0));
                self.create(Stage::CacheCreate(machine), step);
            } else {
                let mut machine = Create::new(record, edit, true);
                let step = machine.begin(Millis(0));
                self.create(Stage::Create(machine), step);
            }
            return;
        }
        let lease = state.fresh_lease();
        self.lease = Some(lease);
        self.pending = Some(Action::Get);
        self.stage = Stage::Load(if setting.cache_only {
            Load::CacheOnly(CacheLoad)
        } else {
            Load::Cascade(protocol::Load::new(true, Nonce(lease), MAX_STALENESS))
        });
    }

    fn create(&mut self, stage: Stage, step: Step<Record, CreateEnd>) {
        self.stage = stage;
        if let Step::Do(action) | Step::Retry(_, action) = step {
            self.pending = Some(action);
        }
    }

    /// Takes the answer to its pending call.
    pub(super) fn on(&mut self, event: Event<Record>, now: Millis, state: &mut SystemState, setting: &Setting) {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Idle | Stage::Done => {}
            Stage::Load(Load::Cascade(mut load)) => {
                let step = load.on(event, now);
                self.go(step, Stage::Load(Load::Cascade(load)), |this, end| {
                    this.loaded(end, state, setting);
                });
            }
            Stage::Load(Load::CacheOnly(mut load)) => {
                let step = load.on(event, now);
                self.go(step, Stage::Load(Load::CacheOnly(load)), |this, end| {
                    this.loaded(end, state, setting);
                });
            }
            Stage::Fill(mut fill) => {
                let step = fill.on(event, now);
                self.go(step, Stage::Fill(fill), |_, ()| {});
            }
            Stage::Commit(mut commit) => {
                let step = commit.on(event, now);
                self.go(step, Stage::Commit(commit), |this, end| this.committed(end, state));
            }
            Stage::CacheCommit(mut commit) => {
                let step = commit.on(event, now);
                self.go(step, Stage::CacheCommit(commit), |this, end| {
                    this.committed(end, state);
                });
            }
            Stage::Create(mut create) => {
                let step = create.on(event, now);
                self.go(step, Stage::Create(create), |this, end| {
                    this.created(end, state, setting);
                });
            }
            Stage::CacheCreate(mut create) => {
                let step = create.on(event, now);
                self.go(step, Stage::CacheCreate(create), |this, end| {
                    this.created(end, state, setting);
                });
            }
            Stage::Repair(mut settle, version) => {
                let step = settle.on(event, now);
                self.go(step, Stage::Repair(settle, version), |_, end| {
                    if end == SettleOutcome::Settled {
                        state.settled = state.settled.max(version);
                    }
                });
            }
        }
    }

    fn go<E>(&mut self, step: Step<Record, E>, stage: Stage, end: impl FnOnce(&mut Self, E)) {
        match step {
            Step::Do(action) | Step::Retry(_, action) => {
                self.pending = Some(action);
                self.stage = stage;
            }
            Step::End(outcome) => end(self, outcome),
        }
    }

    fn loaded(&mut self, end: LoadEnd<Record>, state: &mut SystemState, setting: &Setting) {
        let LoadEnd::Known { found, fill, .. } = end else {
            self.lease = None;
            self.next(None, setting);
            return;
        };
        let version = found.as_ref().map_or(GONE, |found| found.version.0);
        let authority = if setting.cache_only {
            matches!(state.cache, Some((Item::Value { .. }, _)))
        } else {
            state.durable.is_some()
        };
        let (seen, settled) = self.since;
        state.violation = if version < settled && settled == GONE {
            Some(Violation::ServedDestroyed)
        } else if version < settled {
            Some(Violation::MissedAcknowledged)
        } else if version < seen {
            Some(Violation::WentBack)
        } else if version == GONE && authority {
            Some(Violation::LivingReportedGone)
        } else {
            state.violation
        };
        if setting.monotonic {
            state.seen = state.seen.max(version);
        }
        if let Some(mut fill) = fill
            && let Step::Do(action) = fill.begin(Millis(0))
        {
            state.actors.push(Self {
                role: Role::Read(0),
                id: 0,
                lease: self.lease,
                since: (0, 0),
                token: None,
                remembered: None,
                precedes_fence: false,
                stage: Stage::Fill(fill),
                pending: Some(action),
            });
        }
        self.lease = None;
        self.next(found.as_ref(), setting);
    }

    /// Starts what the role does after a load.
    fn next(&mut self, found: Option<&VersionedRecord<Record>>, setting: &Setting) {
        self.since = (0, 0);
        if let Role::Read(loads) = &mut self.role {
            *loads -= 1;
            if *loads > 0 {
                self.stage = Stage::Idle;
            }
            return;
        }
        let Some(&VersionedRecord {
            version,
            record,
            cached,
        }) = found
        else {
            return;
        };
        let edit = Edit::new(self.id, self.role, record, setting.kept_nonces());
        let changed = edit.applied_to(record);
        let goal = if self.role == Role::Destroy {
            Goal::Destroy
        } else {
            Goal::Change
        };
        let (step, stage) = if setting.cache_only {
            let Some(cached) = cached else { return };
            let mut commit = CacheCommit::new(goal, edit, changed, Some(cached.token));
            (commit.begin(Millis(0)), Stage::CacheCommit(commit))
        } else {
            let mut commit = DurableCommit::new(goal, edit, version, changed, true, self.fence());
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
            (commit.begin(Millis(0)), Stage::Commit(commit))
        };
        self.go(step, stage, |_, _| {});
    }

    fn committed(&mut self, end: CommitEnd<Record, Refused>, state: &mut SystemState) {
        match end {
            CommitEnd::Changed { version, unsettled, .. } => {
                state.acknowledged |= 1 << self.id;
                self.settled(unsettled, version.0, state);
            }
            CommitEnd::Destroyed { unsettled, .. } => {
                state.destroyed = true;
                self.settled(unsettled, GONE, state);
            }
            CommitEnd::Failed {
                failure: Failure::Unknown,
                unsettled,
            } => self.settled(unsettled, 0, state),
            CommitEnd::Failed { failure, .. } => {
                state.rejected |= 1 << self.id;
                let may_be_forgotten = self.role == Role::Destroy;
                if failure == Failure::Gone && state.durable.is_some() && !may_be_forgotten {
                    state.violation = Some(Violation::LivingReportedGone);
                }
            }
        }
    }

    /// What is acknowledged must be seen from the moment on when the cache is settled.
    fn settled(&mut self, unsettled: Option<Settle<Record>>, version: u64, state: &mut SystemState) {
        if let Some(mut settle) = unsettled {
            let step = settle.begin(Millis(0));
            self.go(step, Stage::Repair(settle, version), |_, _| {});
        } else {
            state.settled = state.settled.max(version);
        }
    }

    fn created(&mut self, end: CreateEnd, state: &mut SystemState, setting: &Setting) {
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
