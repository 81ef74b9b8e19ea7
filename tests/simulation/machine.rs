//! The driver of the machines: it makes the calls that they ask for, and hands them the answers, as the cascade's
//! `backend.rs` does.

use std::convert::Infallible;

use session_runtime::__private::cascade::protocol::{
    Action, CommitEnd, CreateEnd, Event, LoadEnd, Machine, Settle, SettleOutcome, Step,
};

use session_runtime::tier::Write;

use super::calendar::{Caller, MILLISECOND, Micros, SECOND, TaskId, What};
use super::record::Shared;
use super::sessions::Promised;
use super::simulation::Simulation;
use super::task::{Kind, Stage, Task};

/// The pauses between the tries of an invalidation, as in the cascade's background.
const REPAIR_PAUSE: Micros = 100 * MILLISECOND;
const MAX_REPAIR_PAUSE: Micros = 5 * SECOND;

impl Simulation {
    /// A task that waits for just this call.
    pub(super) fn take(&mut self, caller: Caller) -> Option<Task> {
        let waits = self.tasks.get(&caller.task)?.call == caller.call;
        waits.then(|| self.tasks.remove(&caller.task)).flatten()
    }

    pub(super) fn begin(&mut self) -> TaskId {
        self.begun += 1;
        self.begun
    }

    /// Begins the machine of a task's stage, or hands it the answer to its call.
    pub(super) fn advance(&mut self, id: TaskId, mut task: Task, event: Option<Event<Shared>>) {
        self.note_look(&task, event.as_ref());
        match std::mem::replace(&mut task.stage, Stage::Idle) {
            Stage::Idle | Stage::Joined | Stage::Queued | Stage::Followed => {}
            Stage::Load(mut load) => {
                let step: Step<_, LoadEnd<_>> = self.step(&mut load, event);
                if let Step::Do(Action::Read) = &step
                    && !self.may_read(id, &mut task, &load)
                {
                    task.stage = Stage::Joined;
                    self.tasks.insert(id, task);
                    return;
                }
                self.go(id, task, Stage::Load(load), step, Self::loaded);
            }
            Stage::Fill(mut fill) => {
                let step = self.step(&mut fill, event);
                self.go(id, task, Stage::Fill(fill), step, |this, _, mut task, ()| {
                    this.release(task.key(), task.cold.take());
                });
            }
            Stage::Commit(mut commit) => {
                if let (Some(Event::Wrote(Write::Conflict)), Some(queue)) = (&event, self.queues.get_mut(&task.key())) {
                    task.conflicts += 1;
                    queue.has_rivals |= task.conflicts > u32::from(!task.begins_with_latest);
                }
                let step: Step<_, CommitEnd<_, Infallible>> = self.step(&mut commit, event);
                self.go(id, task, Stage::Commit(commit), step, Self::committed);
            }
            Stage::Create(mut create) => {
                let step: Step<_, CreateEnd> = self.step(&mut create, event);
                self.go(id, task, Stage::Create(create), step, |this, _, task, end| {
                    this.created(task, end);
                });
            }
            Stage::Repair(mut settle) => {
                let step = self.step(&mut settle, event);
                self.go(id, task, Stage::Repair(settle), step, Self::repaired);
            }
        }
    }

    fn step<M: Machine<Shared>>(&self, machine: &mut M, event: Option<Event<Shared>>) -> Step<Shared, M::End> {
        let now = self.world.calendar.time_of_day();
        match event {
            Some(event) => machine.on(event, now),
            None => machine.begin(now),
        }
    }

    fn go<E>(
        &mut self,
        id: TaskId,
        mut task: Task,
        stage: Stage,
        step: Step<Shared, E>,
        end: impl FnOnce(&mut Self, TaskId, Task, E),
    ) {
        match step {
            Step::Do(action) => {
                task.stage = stage;
                self.perform(id, task, action);
            }
            Step::Retry(attempt, action) => {
                task.stage = stage;
                let caller = self.call(id, &mut task);
                self.tasks.insert(id, task);
                // As the driver's pause.
                let pause = self.world.rng.u64(0..=4 << attempt.min(4)) * MILLISECOND;
                self.world.calendar.after(pause, What::Act(caller, action));
            }
            Step::End(outcome) => end(self, id, task, outcome),
        }
    }

    fn call(&mut self, id: TaskId, task: &mut Task) -> Caller {
        self.calls += 1;
        task.call = self.calls;
        Caller {
            task: id,
            call: self.calls,
        }
    }

    pub(super) fn perform(&mut self, id: TaskId, mut task: Task, action: Action<Shared>) {
        let caller = self.call(id, &mut task);
        let (node, session) = task.key();
        self.tasks.insert(id, task);
        match action {
            Action::Read | Action::Insert(_) | Action::Update(..) | Action::Delete(_) => {
                self.durable.begin(&mut self.world, caller, (node, session), action);
            }
            Action::Get | Action::Add(_) | Action::Set(_) | Action::Swap(..) | Action::Remove(_) => {
                let place = (node, self.sessions.memcached(session), session);
                self.caches.send(&mut self.world, caller, place, action);
            }
        }
    }

    /// Goes on settling the cache beside the request.
    pub(super) fn repair(&mut self, (node, session): (u16, u32), settle: Settle<Shared>) {
        let now = self.world.calendar.now();
        let mut task = Task::new(node, session, Kind::Background, now, Promised::default());
        task.stage = Stage::Repair(settle.clone());
        task.repair = Some((settle, REPAIR_PAUSE));
        let id = self.begin();
        self.advance(id, task, None);
    }

    fn repaired(&mut self, id: TaskId, mut task: Task, end: SettleOutcome) {
        if let (SettleOutcome::Unsettled, Some((_, pause))) = (end, &mut task.repair) {
            let now = *pause;
            *pause = (now * 2).min(MAX_REPAIR_PAUSE);
            self.tasks.insert(id, task);
            self.world.calendar.after(now, What::RepairAgain(id));
        }
    }
}
