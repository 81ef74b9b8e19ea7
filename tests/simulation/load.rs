//! Loads, which readers of one node share where the cache does not answer, by the rules of the cascade's `cold.rs` and
//! `lookup.rs`.

use session_runtime::__private::cascade::protocol::{Event, Item, Load, LoadEnd, Source};
use session_runtime::__private::session::meta::Nonce;

use super::calendar::TaskId;
use super::record::Shared;
use super::simulation::Simulation;
use super::task::{Kind, Stage, Task};
use super::{MAX_STALENESS, RENEW_AFTER};

impl Simulation {
    /// Begins the load of a request.
    pub(super) fn load(&mut self, mut task: Task) {
        let id = self.begin();
        task.stage = self.new_load();
        self.advance(id, task, None);
    }

    fn new_load(&mut self) -> Stage {
        let lease = Nonce(self.world.rng.u64(..));
        Stage::Load(Load::new(true, lease, MAX_STALENESS))
    }

    /// Notes how many looks of loads into the cache meet a fence.
    pub(super) fn note_look(&mut self, task: &Task, event: Option<&Event<Shared>>) {
        if let (Stage::Load(_), Some(Event::Got(got))) = (&task.stage, event) {
            self.report.looks += 1;
            self.report.fenced += u64::from(matches!(got, Some((Item::Fence { .. }, _))));
        }
    }

    /// Whether a load may read the durable tier now; if not, it waits with others for the load that is under way.
    pub(super) fn may_read(&mut self, id: TaskId, task: &mut Task, load: &Load) -> bool {
        if task.cold.is_some() {
            return true;
        }
        if let Some(waiting) = self.cold.get_mut(&task.key()) {
            if !load.has_lease() {
                waiting.push(id);
            }
            return load.has_lease();
        }
        self.cold.insert(task.key(), Vec::new());
        task.cold = Some(Vec::new());
        true
    }

    pub(super) fn loaded(&mut self, id: TaskId, mut task: Task, end: LoadEnd<Shared>) {
        for joined in task.cold.as_mut().map(std::mem::take).unwrap_or_default() {
            if let Some(joiner) = self.tasks.remove(&joined) {
                self.use_loaded(joined, joiner, end.without_fill());
            }
        }
        let cold = task.cold.take();
        let (key, mut end) = (task.key(), end);
        let fill = match &mut end {
            LoadEnd::Known { fill, .. } => fill.take(),
            LoadEnd::Unavailable => None,
        };
        match fill {
            Some(fill) => {
                let mut beside = Task::new(key.0, key.1, Kind::Background, task.came, task.promised);
                beside.stage = Stage::Fill(fill);
                beside.cold = cold;
                let beside_id = self.begin();
                self.advance(beside_id, beside, None);
            }
            None => self.release(key, cold),
        }
        self.use_loaded(id, task, end);
    }

    /// A load is over: of those who came meanwhile, one loads for all.
    pub(super) fn release(&mut self, key: (u16, u32), cold: Option<Vec<TaskId>>) {
        let Some(mut joined) = cold else { return };
        joined.extend(self.cold.remove(&key).unwrap_or_default());
        if let Some(next) = joined.pop()
            && let Some(mut task) = self.tasks.remove(&next)
        {
            self.cold.insert(key, Vec::new());
            task.cold = Some(joined);
            task.stage = self.new_load();
            self.advance(next, task, None);
        }
    }

    /// Goes on with what the request does.
    fn use_loaded(&mut self, id: TaskId, mut task: Task, end: LoadEnd<Shared>) {
        self.report.loads += 1;
        let now = self.world.calendar.now();
        let LoadEnd::Known { found, source, .. } = end else {
            self.report.load_times.add(None);
            self.report.unavailable += 1;
            return self.finish(&task, false);
        };
        self.report.hits += u64::from(source == Source::Cache);
        self.report.load_times.add(Some(now - task.came));
        let version = found.as_ref().map(|found| found.version.0);
        let session = self.sessions.get(task.session);
        self.check.loaded(task.session, session, task.promised, version);
        let is_due = found
            .as_ref()
            .is_some_and(|found| self.is_due_for_renewal(&found.record));
        match found {
            Some(found) if task.kind != Kind::Read || is_due => {
                task.loaded = Some(found);
                self.enter(id, task);
            }
            _ => self.finish(&task, true),
        }
    }

    pub(super) fn is_due_for_renewal(&self, record: &Shared) -> bool {
        record.meta.renewed.after(RENEW_AFTER) <= self.world.calendar.time_of_day()
    }
}
