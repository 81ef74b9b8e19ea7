//! Actors: each runs the protocol's machines for one request, or for what a request leaves running in the background.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use rustc_hash::FxHasher;
use session_runtime::__private::cascade::protocol::{
    self, Action, CacheCommit, CacheCreate, CacheLoad, Change, Create, CreateEnd, DurableCommit, Event, Fill, Item,
    LoadEnd, Machine, Settle, SettleOutcome, Step, VersionedRecord,
};
use session_runtime::__private::session::meta::{Millis, Nonce};
use session_runtime::tier::Token;

use super::Setting;
use super::mutation::Mutation;
use super::record::{Edit, Patch, Record, Role};
use super::state::{GONE, SystemState, Violation, is_durable_write};

pub(super) const MAX_STALENESS: Duration = Duration::from_millis(1);

/// One request, or what it left running in the background.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Actor {
    pub(super) id: u8,
    pub(super) role: Role,
    /// The nonce of the lease that it may hold.
    pub(super) lease: Option<u64>,
    /// The latest version seen, and the latest acknowledged, when its load began.
    pub(super) since: (u64, u64),
    pub(super) stage: Stage,
    /// The token that it swaps when its durable write, which has no fence, is applied.
    pub(super) token: Option<Token>,
    /// A call that a mutation remembers.
    pub(super) remembered: Option<Action<Record>>,
    /// Whether its pending call is a durable write, and the cache holds a fence that was stored when that was pending
    /// already, or right before.
    pub(super) precedes_fence: bool,
    /// Whether other readers of its process wait for the end of its load and fill.
    pub(super) leads: bool,
    /// The answer to its pending read, which it has yet to take.
    pub(super) answer: Option<Event<Record>>,
    /// The call that it makes next.
    pub(super) pending: Option<Action<Record>>,
}

/// The machine that an actor runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Idle,
    Load(Load),
    Fill(Fill<Record>),
    /// Waits for a load of another reader of its process.
    Joined,
    /// Waits for the writers of its process that came before it.
    Queued(VersionedRecord<Record>, Patch),
    Commit(DurableCommit<Record, Edit>),
    Create(Create<Record, Edit>),
    /// Settles a cache that the commit could not settle, for a write of this version, since this time.
    Repair(Settle<Record>, u64, Millis),
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
    /// It takes effect, and its answer is under way.
    Applied,
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
            leads: false,
            answer: None,
            stage: Stage::Idle,
            pending: None,
        }
    }

    /// A fill in the background, after the load of a reader.
    fn fill(fill: Fill<Record>, lease: Option<u64>, leads: bool, pending: Action<Record>) -> Self {
        Self {
            lease,
            leads,
            stage: Stage::Fill(fill),
            pending: Some(pending),
            ..Self::new(0, Role::Read(0))
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
            let patch = Patch::new(self.id, self.role, Record::default());
            let mut edit = Edit::new(patch, &[], setting);
            let Ok(record) = edit.apply(&Record::default()) else {
                return;
            };
            if setting.cache_only {
                let mut machine = CacheCreate::new(record, edit);
                let step = machine.begin(state.now);
                self.create(Stage::CacheCreate(machine), step);
            } else {
                let mut machine = Create::new(record, edit, true);
                let step = machine.begin(state.now);
                self.create(Stage::Create(machine), step);
            }
            return;
        }
        self.load(state, setting);
    }

    /// Begins a load.
    pub(super) fn load(&mut self, state: &SystemState, setting: &Setting) {
        let lease = state.fresh_lease();
        self.lease = Some(lease);
        self.pending = Some(Action::Get);
        self.stage = Stage::Load(if setting.cache_only {
            Load::CacheOnly(CacheLoad)
        } else {
            let max_staleness = if setting.mutation == Mutation::TrustOld {
                Duration::MAX
            } else {
                MAX_STALENESS
            };
            Load::Cascade(protocol::Load::new(true, Nonce(lease), max_staleness))
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
            Stage::Idle | Stage::Joined | Stage::Queued(..) | Stage::Done => {}
            Stage::Load(Load::Cascade(mut load)) => {
                let step = load.on(event, now);
                if setting.shared_loads && step == Step::Do(Action::Read) && self.waits(load.has_lease(), state) {
                    return;
                }
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
                self.go(step, Stage::Fill(fill), |this, ()| this.end_load(state, setting));
            }
            Stage::Commit(mut commit) => {
                let step = commit.on(event, now);
                let edit = *commit.change();
                self.go(step, Stage::Commit(commit), |this, end| {
                    this.committed(end, &edit, state, setting);
                });
            }
            Stage::CacheCommit(mut commit) => {
                let step = commit.on(event, now);
                let edit = *commit.change();
                self.go(step, Stage::CacheCommit(commit), |this, end| {
                    this.committed(end, &edit, state, setting);
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
            Stage::Repair(mut settle, version, since) => match settle.on(event, now) {
                Step::End(SettleOutcome::Settled) => state.settled = state.settled.max(version),
                Step::End(SettleOutcome::Unsettled)
                    if since < state.now || setting.mutation == Mutation::RepairOnce => {}
                Step::End(SettleOutcome::Unsettled) => self.repair(settle, version, since),
                Step::Do(action) | Step::Retry(_, action) => {
                    self.pending = Some(action);
                    self.stage = Stage::Repair(settle, version, since);
                }
            },
        }
    }

    /// Tries, from the beginning, to settle the cache.
    pub(super) fn repair(&mut self, mut settle: Settle<Record>, version: u64, since: Millis) {
        let step = settle.begin(since);
        self.go(step, Stage::Repair(settle, version, since), |_, _| {});
    }

    pub(super) fn go<E>(&mut self, step: Step<Record, E>, stage: Stage, end: impl FnOnce(&mut Self, E)) {
        match step {
            Step::Do(action) | Step::Retry(_, action) => {
                self.pending = Some(action);
                self.stage = stage;
            }
            Step::End(outcome) => end(self, outcome),
        }
    }

    pub(super) fn loaded(&mut self, end: LoadEnd<Record>, state: &mut SystemState, setting: &Setting) {
        if self.leads {
            state.publish(&end, setting);
        }
        let LoadEnd::Known { found, fill, .. } = end else {
            self.lease = None;
            self.end_load(state, setting);
            self.next(None, state, setting);
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
            && let Step::Do(action) = fill.begin(state.now)
        {
            let is_leader = std::mem::take(&mut self.leads);
            state.actors.push(Self::fill(fill, self.lease, is_leader, action));
        }
        self.lease = None;
        self.end_load(state, setting);
        self.next(found, state, setting);
    }
}
