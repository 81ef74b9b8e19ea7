//! Creations, by the rules of the cascade's `inner.rs`.

use session_runtime::__private::cascade::protocol::{Change, Create, CreateEnd};

use super::calendar::What;
use super::commit::{COMMIT_TIMEOUT, Told};
use super::record::{Edit, Shared};
use super::simulation::Simulation;
use super::task::{Kind, Stage, Task};

/// As in the cascade.
const TRIES: u32 = 3;

impl Simulation {
    /// Creates a session.
    pub(super) fn create(&mut self, mut task: Task) {
        let id = self.begin();
        if task.commit_ends == 0 {
            task.commit_began = task.came;
            task.commit_ends = task.came + COMMIT_TIMEOUT;
        }
        self.world.calendar.at(task.commit_ends, What::CommitEnds(id));
        task.update = self.check.update();
        let mut edit = Edit::new(vec![task.update], self.world.calendar.time_of_day());
        let Ok(record) = edit.apply(&Shared::default());
        task.stage = Stage::Create(Create::new(record, edit, task.is_cached));
        self.advance(id, task, None);
    }

    pub(super) fn created(&mut self, mut task: Task, end: CreateEnd) {
        match end {
            CreateEnd::Done { version, degraded } => {
                let told = if degraded || !task.is_cached {
                    Told::Degraded
                } else {
                    Told::Coherent
                };
                self.tell(&task, told, Some(version));
                self.sessions.enter(task.session, &mut self.world.rng);
            }
            CreateEnd::StartOver { stored } if matches!(task.kind, Kind::Create(tries) if tries < TRIES) => {
                if let Kind::Create(tries) = &mut task.kind {
                    *tries += 1;
                }
                task.is_cached &= stored.is_none();
                task.session = self.sessions.create();
                self.create(task);
            }
            CreateEnd::StartOver { .. } => self.tell(&task, Told::Unknown, None),
            CreateEnd::Unavailable | CreateEnd::TooLarge => self.tell(&task, Told::Unavailable, None),
        }
    }
}
