//! Writers of one process, who wait for one another: the first of those who wait takes along the patches of those behind
//! it, and starts from what the writer before it has stored.

use session_runtime::__private::cascade::protocol::VersionedRecord;
use session_runtime::tier::Version;

use super::Setting;
use super::actor::{Actor, Stage};
use super::mutation::Mutation;
use super::record::{MAX_FOLLOWERS, Record, Role};
use super::state::SystemState;

/// Those who wait, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    pub(super) waiting: Vec<Actor>,
    /// What the writer before the one whose turn it is has stored.
    latest: Option<(Version, Record)>,
}

impl Setting {
    /// Whether the actor is a writer of the process that the model has a queue of.
    pub(super) fn is_queued(&self, actor: &Actor) -> bool {
        (1..=self.queued_writers).contains(&actor.id)
    }
}

/// Rotations and destroys are written alone.
fn may_share(actor: &Actor) -> bool {
    matches!(actor.role, Role::Add | Role::Reject)
}

impl SystemState {
    /// Whether one of the queue's writers has its turn.
    pub(super) fn has_writer_of_the_queue(&self, setting: &Setting) -> bool {
        let writes = |actor: &Actor| matches!(actor.stage, Stage::Commit(_)) && setting.is_queued(actor);
        self.actors.iter().any(writes)
    }

    /// Leaves to the next writer what was stored, and its turn.
    pub(super) fn hand_over(&mut self, stored: Option<(Version, Record)>, setting: &Setting) {
        self.queue.latest = match (setting.mutation, stored) {
            (Mutation::HandOverOld, Some((version, _))) => Some((version, Record::default())),
            (_, stored) => stored,
        };
        self.pass_turn(setting);
    }

    /// Gives the next writer its turn.
    pub(super) fn pass_turn(&mut self, setting: &Setting) {
        while !self.queue.waiting.is_empty() {
            let mut next = self.queue.waiting.remove(0);
            let Stage::Queued(mut loaded, patch) = std::mem::replace(&mut next.stage, Stage::Done) else {
                continue;
            };
            if let Some((version, record)) = self.queue.latest
                && version > loaded.version
            {
                loaded = VersionedRecord {
                    version,
                    record,
                    cached: None,
                };
            }
            let mut followers = Vec::new();
            while may_share(&next)
                && followers.len() < MAX_FOLLOWERS
                && self.queue.waiting.first().is_some_and(may_share)
            {
                if let Stage::Queued(theirs, patch) = self.queue.waiting.remove(0).stage {
                    followers.push(patch);
                    // None is refused by an older record than its own.
                    if theirs.version > loaded.version {
                        loaded = theirs;
                    }
                }
            }
            next.write(&loaded, patch, &followers, self, setting);
            if next.stage != Stage::Done {
                self.actors.push(next);
                return;
            }
            self.queue.latest = None;
        }
        self.queue.latest = None;
    }
}
