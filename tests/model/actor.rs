//! Those who run the protocol's machines.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use session_runtime::__private::cascade::protocol::{
    self, Action, CacheCommit, CacheCreate, CacheLoad, CommitEnd, Create, CreateEnd, DurableCommit, Event, Failure,
    Fill, Goal, Item, LoadEnd, Machine, Settle, SettleOutcome, Step, VersionedRecord,
};
use session_runtime::__private::session::meta::{Millis, Nonce};

use super::Setting;
use super::record::{Edit, Forgotten, Part, Rec};
use super::world::{Broken, GONE, World};

const MAX_STALENESS: Duration = Duration::from_millis(1);

/// One request, or what it left running beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Actor {
    pub(super) who: u8,
    pub(super) part: Part,
    /// The random number of the lease it may hold.
    pub(super) lease: Option<u64>,
    /// What the latest load and acknowledgement were when its load began.
    since: (u64, u64),
    pub(super) stage: Stage,
    /// Whether its durable write has met another's.
    pub(super) conflicted: bool,
    /// What it asks next.
    pub(super) pending: Option<Action<Rec>>,
}

/// The machine that an actor runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    Idle,
    Load(Load),
    Fill(Fill<Rec>),
    Commit(DurableCommit<Rec, Edit>),
    Create(Create<Rec, Edit>),
    /// A cache that could not be settled is told later.
    Repair(Settle<Rec>, u64),
    CacheCommit(CacheCommit<Rec, Edit>),
    CacheCreate(CacheCreate<Rec, Edit>),
    Done,
}

/// The two ways to load.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Load {
    Cascade(protocol::Load),
    Alone(CacheLoad),
}

/// What happens to the actor's next question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum How {
    Answered,
    /// The asker stops listening; it may be done later.
    Lost,
    /// It is certain that nothing was or will be done.
    Refused,
    /// What it writes is too large for the durable tier.
    Full,
    /// What it finds is too old.
    Old,
}

/// A number that is the same for the same thing in every run.
pub(super) fn rank(thing: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
}

pub(super) fn fence_of(who: u8) -> Nonce {
    Nonce(100 + u64::from(who))
}

impl Actor {
    pub(super) fn new(who: u8, part: Part) -> Self {
        Self {
            who,
            part,
            lease: None,
            since: (0, 0),
            conflicted: false,
            stage: Stage::Idle,
            pending: None,
        }
    }

    pub(super) fn fence(&self) -> Nonce {
        fence_of(self.who)
    }

    pub(super) fn rank(&self) -> u64 {
        rank(self)
    }

    /// What it asks next; an idle one asks as soon as it starts, so that its load begins at the latest moment at which
    /// it can see what it sees.
    pub(super) fn start(&mut self, world: &World, setting: &Setting) {
        if self.stage != Stage::Idle {
            return;
        }
        self.since = (world.seen, world.settled);
        if self.part == Part::Create {
            let edit = Edit::new(self.who, self.part, &Rec::default(), setting.kept());
            let record = edit.made(&Rec::default());
            if setting.cache_only {
                let mut machine = CacheCreate::new(record, edit);
                let step = machine.begin(Millis(0));
                self.create(Stage::CacheCreate(machine), step);
            } else {
                let mut machine = Create::new(record, edit);
                let step = machine.begin(Millis(0));
                self.create(Stage::Create(machine), step);
            }
            return;
        }
        let lease = world.fresh_lease();
        self.lease = Some(lease);
        self.pending = Some(Action::Get);
        self.stage = Stage::Load(if setting.cache_only {
            Load::Alone(CacheLoad)
        } else {
            Load::Cascade(protocol::Load::new(true, Nonce(lease), MAX_STALENESS))
        });
    }

    fn create(&mut self, stage: Stage, step: Step<Rec, CreateEnd>) {
        self.stage = stage;
        if let Step::Do(action) | Step::Retry(_, action) = step {
            self.pending = Some(action);
        }
    }

    /// Takes the answer to what it asked.
    pub(super) fn on(&mut self, event: Event<Rec>, now: Millis, world: &mut World, setting: &Setting) {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Idle | Stage::Done => {}
            Stage::Load(Load::Cascade(mut load)) => {
                let step = load.on(event, now);
                self.go(step, Stage::Load(Load::Cascade(load)), |this, end| {
                    this.loaded(end, world, setting);
                });
            }
            Stage::Load(Load::Alone(mut load)) => {
                let step = load.on(event, now);
                self.go(step, Stage::Load(Load::Alone(load)), |this, end| {
                    this.loaded(end, world, setting);
                });
            }
            Stage::Fill(mut fill) => {
                let step = fill.on(event, now);
                self.go(step, Stage::Fill(fill), |_, ()| {});
            }
            Stage::Commit(mut commit) => {
                let step = commit.on(event, now);
                self.go(step, Stage::Commit(commit), |this, end| this.committed(&end, world));
            }
            Stage::CacheCommit(mut commit) => {
                let step = commit.on(event, now);
                self.go(step, Stage::CacheCommit(commit), |this, end| {
                    this.committed(&end, world);
                });
            }
            Stage::Create(mut create) => {
                let step = create.on(event, now);
                self.go(step, Stage::Create(create), |this, end| {
                    this.created(end, world, setting);
                });
            }
            Stage::CacheCreate(mut create) => {
                let step = create.on(event, now);
                self.go(step, Stage::CacheCreate(create), |this, end| {
                    this.created(end, world, setting);
                });
            }
            Stage::Repair(mut settle, version) => {
                let step = settle.on(event, now);
                self.go(step, Stage::Repair(settle, version), |_, end| {
                    if end == SettleOutcome::Settled {
                        world.settled = world.settled.max(version);
                    }
                });
            }
        }
    }

    fn go<E>(&mut self, step: Step<Rec, E>, stage: Stage, end: impl FnOnce(&mut Self, E)) {
        match step {
            Step::Do(action) | Step::Retry(_, action) => {
                self.pending = Some(action);
                self.stage = stage;
            }
            Step::End(outcome) => end(self, outcome),
        }
    }

    fn loaded(&mut self, end: LoadEnd<Rec>, world: &mut World, setting: &Setting) {
        let LoadEnd::Known { found, fill, .. } = end else {
            self.lease = None;
            self.next(None, setting);
            return;
        };
        let version = found.as_ref().map_or(GONE, |found| found.version.0);
        let authority = if setting.cache_only {
            matches!(world.cache, Some((Item::Value { .. }, _)))
        } else {
            world.durable.is_some()
        };
        let (seen, settled) = self.since;
        world.broken = if version < settled && settled == GONE {
            Some(Broken::ServedDead)
        } else if version < settled {
            Some(Broken::MissedAcknowledged)
        } else if version < seen {
            Some(Broken::WentBack)
        } else if version == GONE && authority {
            Some(Broken::CalledLivingGone)
        } else {
            world.broken
        };
        if setting.strong {
            world.seen = world.seen.max(version);
        }
        if let Some(mut fill) = fill
            && let Step::Do(action) = fill.begin(Millis(0))
        {
            world.actors.push(Self {
                part: Part::Read(0),
                who: 0,
                lease: self.lease,
                since: (0, 0),
                conflicted: false,
                stage: Stage::Fill(fill),
                pending: Some(action),
            });
        }
        self.lease = None;
        self.next(found, setting);
    }

    /// What follows a load.
    fn next(&mut self, found: Option<VersionedRecord<Rec>>, setting: &Setting) {
        self.since = (0, 0);
        if let Part::Read(loads) = &mut self.part {
            *loads -= 1;
            if *loads > 0 {
                self.stage = Stage::Idle;
            }
            return;
        }
        let Some(VersionedRecord {
            version,
            record,
            cached,
        }) = found
        else {
            return;
        };
        let edit = Edit::new(self.who, self.part, &record, setting.kept());
        let changed = edit.made(&record);
        let goal = if self.part == Part::Destroy {
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
                commit = commit.replacing(cached, record);
            }
            (commit.begin(Millis(0)), Stage::Commit(commit))
        };
        self.go(step, stage, |_, _| {});
    }

    fn committed(&mut self, end: &CommitEnd<Rec, Forgotten>, world: &mut World) {
        match *end {
            CommitEnd::Changed { version, settled, .. } => {
                world.acknowledged |= 1 << self.who;
                if settled {
                    world.settled = world.settled.max(version.0);
                } else {
                    self.repair(Settle::hide(self.fence()), version.0);
                }
            }
            CommitEnd::Destroyed { settled, .. } => {
                world.dead = true;
                if settled {
                    world.settled = GONE;
                } else {
                    self.repair(Settle::tombstone(), GONE);
                }
            }
            CommitEnd::Failed(Failure::Unknown) => {}
            CommitEnd::Failed(failure) => {
                world.denied |= 1 << self.who;
                let may_be_forgotten = self.part == Part::Destroy;
                if failure == Failure::Gone && world.durable.is_some() && !may_be_forgotten {
                    world.broken = Some(Broken::CalledLivingGone);
                }
            }
        }
    }

    fn repair(&mut self, mut settle: Settle<Rec>, version: u64) {
        let step = settle.begin(Millis(0));
        self.go(step, Stage::Repair(settle, version), |_, _| {});
    }

    fn created(&mut self, end: CreateEnd, world: &mut World, setting: &Setting) {
        match end {
            CreateEnd::Done(_) => {
                world.known = true;
                world.acknowledged |= 1 << self.who;
            }
            CreateEnd::StartOver if setting.twist == crate::step::Twist::SameKey && world.durable.is_none() => {
                self.stage = Stage::Idle;
            }
            CreateEnd::StartOver => {}
            CreateEnd::Unavailable | CreateEnd::TooLarge => world.denied |= 1 << self.who,
        }
    }
}
