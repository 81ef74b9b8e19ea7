//! The simulation: requests come, and what happens is taken from the calendar until nothing is left.

use rustc_hash::FxHashMap;
use session_runtime::tier::memcache::ConfigError;

use super::cache::Caches;
use super::calendar::{Micros, SECOND, TaskId, What};
use super::check::Check;
use super::commit::Queue;
use super::durable::Durable;
use super::report::Report;
use super::sessions::{Promised, Sessions};
use super::setting::Setting;
use super::task::{Kind, Stage, Task};
use super::world::World;

/// So many of the busiest sessions are neither destroyed nor given another secret: those are programs, not people.
const BUSIEST: usize = 1_000;

pub(crate) struct Simulation {
    pub(super) world: World,
    pub(super) sessions: Sessions,
    pub(super) caches: Caches,
    pub(super) durable: Durable,
    pub(super) tasks: FxHashMap<TaskId, Task>,
    pub(super) begun: TaskId,
    pub(super) calls: u64,
    /// The writers of a session on a node.
    pub(super) queues: FxHashMap<(u16, u32), Queue>,
    /// Those who wait for the end of a load of a session on a node.
    pub(super) cold: FxHashMap<(u16, u32), Vec<TaskId>>,
    pub(super) check: Check,
    pub(super) report: Report,
    /// The session that has writers of its own.
    hot: u32,
    /// When the next request comes, and the next hot write.
    next: [f64; 2],
}

/// Runs a setting; returns what was measured, and descriptions of promises that were broken.
pub(crate) fn run(setting: &Setting) -> Result<(Report, Vec<String>), ConfigError> {
    let mut world = World::new(setting);
    let now = world.calendar.time_of_day();
    let mut sessions = Sessions::new(setting, now, &mut world.rng)?;
    let hot = sessions.add(now, now);
    let mut simulation = Simulation {
        caches: Caches::new(setting),
        durable: Durable::new(setting),
        world,
        sessions,
        tasks: FxHashMap::default(),
        begun: 0,
        calls: 0,
        queues: FxHashMap::default(),
        cold: FxHashMap::default(),
        check: Check::default(),
        report: Report::default(),
        hot,
        next: [0.0; 2],
    };
    simulation.world.calendar.at(0, What::Request);
    if setting.hot > 0.0 {
        simulation.world.calendar.at(0, What::HotRequests);
    }
    while let Some(what) = simulation.world.calendar.next() {
        simulation.happens(what);
    }
    Ok(simulation.end())
}

impl Simulation {
    fn end(mut self) -> (Report, Vec<String>) {
        self.check.ended(self.sessions.all());
        let writes = self.sessions.all().iter().map(|session| session.durable_writes).max();
        let seconds = self.world.setting.length / SECOND;
        self.report.hottest = u64::from(writes.unwrap_or(0)) / seconds.max(1);
        self.report.durable_calls = self.durable.sent;
        self.report.violations = self.check.violations;
        self.report.stale = self.check.stale;
        (self.report, self.check.descriptions)
    }

    fn happens(&mut self, what: What) {
        match what {
            What::Request => self.request(),
            What::HotRequests => self.hot_requests(),
            What::AtCache(caller, link, action) => {
                let session = self.sessions.get(link.session);
                self.caches.arrive(&mut self.world, session, (caller, link), action);
            }
            What::AtDurable(attempt, id, action, back) => {
                let session = (id, self.sessions.get(id));
                let (world, check) = (&mut self.world, &mut self.check);
                self.durable.arrive(world, check, attempt, session, (action, back));
            }
            What::Replied(attempt, event) => self.durable.replied(&mut self.world, attempt, event),
            What::AttemptEnds(attempt) => self.durable.attempt_ends(&mut self.world, attempt),
            What::TryAgain(call) => self.durable.attempt(&mut self.world, call),
            What::Answer(caller, event, link) => {
                if let Some(link) = link {
                    self.caches.answered(self.world.calendar.now(), link, &event);
                }
                if let Some(task) = self.take(caller) {
                    self.advance(caller.task, task, Some(event));
                }
            }
            What::Act(caller, action) => {
                if let Some(task) = self.take(caller) {
                    self.perform(caller.task, task, action);
                }
            }
            What::Turn(task) => self.turn(task),
            What::PatienceEnds(task) => self.patience_ends(task),
            What::CommitEnds(task) => self.commit_ends(task),
            What::RepairAgain(id) => {
                if let Some(mut task) = self.tasks.remove(&id)
                    && let Some((settle, _)) = &task.repair
                {
                    task.stage = Stage::Repair(settle.clone());
                    self.advance(id, task, None);
                }
            }
        }
    }

    fn request(&mut self) {
        let world = &mut self.world;
        let now = world.calendar.now();
        self.next[0] += world.until_next(world.setting.rate);
        if (self.next[0] as Micros) < world.setting.length {
            world.calendar.at(self.next[0] as Micros, What::Request);
        }
        let node = world.rng.u16(0..world.setting.nodes);
        let chance = world.rng.f64();
        let is_write = chance < world.setting.writes;
        if !is_write && chance < world.setting.writes + world.setting.creations {
            let session = self.sessions.create();
            let task = Task::new(node, session, Kind::Create(1), now, Promised::default());
            return self.create(task);
        }
        let (rank, session) = self.sessions.choose(&mut world.rng);
        let kind = match world.rng.u8(0..50) {
            _ if !is_write => Kind::Read,
            _ if rank < BUSIEST => Kind::Change,
            0 => Kind::Rotate,
            1 => Kind::Destroy(rank),
            _ => Kind::Change,
        };
        let promised = self.sessions.get(session).promised;
        self.load(Task::new(node, session, kind, now, promised));
    }

    /// A write of the hot session, and a read on another node, or the same.
    fn hot_requests(&mut self) {
        let world = &mut self.world;
        let now = world.calendar.now();
        self.next[1] += world.until_next(world.setting.hot);
        if (self.next[1] as Micros) < world.setting.length {
            world.calendar.at(self.next[1] as Micros, What::HotRequests);
        }
        for kind in [Kind::Change, Kind::Read] {
            let node = self.world.rng.u16(0..self.world.setting.nodes);
            let promised = self.sessions.get(self.hot).promised;
            self.load(Task::new(node, self.hot, kind, now, promised));
        }
    }

    /// A request is answered, or has failed.
    pub(super) fn finish(&mut self, task: &Task, is_answered: bool) {
        let wait = self.world.calendar.now() - task.came;
        self.report.request(task.came, is_answered.then_some(wait));
    }
}
