//! Tasks: requests, and the work beside them. Each runs one machine of the protocol at a time.

use session_runtime::__private::cascade::protocol::{Create, DurableCommit, Fill, Load, Settle, VersionedRecord};

use super::calendar::{Micros, TaskId};
use super::record::{Edit, Shared};
use super::sessions::Promised;

/// What a request does after its load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing, or a renewal, where one is due.
    Read,
    Change,
    /// A change that gives another secret.
    Rotate,
    /// Ends the session of this rank.
    Destroy(usize),
    /// Creates a session instead, at this try.
    Create(u32),
    /// What is done beside the requests.
    Background,
}

pub(crate) enum Stage {
    /// Nothing is under way.
    Idle,
    Load(Load),
    /// Waits for another reader's load, to join the one after it.
    Joined,
    /// Waits for its turn to write.
    Queued,
    /// Another writer writes its update.
    Followed,
    Commit(DurableCommit<Shared, Edit>),
    Create(Create<Shared, Edit>),
    Fill(Fill<Shared>),
    Repair(Settle<Shared>),
}

pub(crate) struct Task {
    pub(crate) node: u16,
    pub(crate) session: u32,
    pub(crate) kind: Kind,
    /// When the request came.
    pub(crate) came: Micros,
    /// What was promised by then.
    pub(crate) promised: Promised,
    pub(crate) stage: Stage,
    /// The number of the call whose answer it waits for.
    pub(crate) call: u64,
    /// Those who wait for the result of its load, where others may.
    pub(crate) cold: Option<Vec<TaskId>>,
    /// What it loaded.
    pub(crate) loaded: Option<VersionedRecord<Shared>>,
    pub(crate) update: u32,
    /// Whether it writes from what the writer before it on the node has stored.
    pub(crate) begins_with_latest: bool,
    pub(crate) conflicts: u32,
    pub(crate) commit_began: Micros,
    /// When its commit has had its time.
    pub(crate) commit_ends: Micros,
    /// Those whose updates it writes with its own.
    pub(crate) followers: Vec<TaskId>,
    /// Whether a creation uses the cache.
    pub(crate) is_cached: bool,
    /// What it tries again, and after which pause.
    pub(crate) repair: Option<(Settle<Shared>, Micros)>,
}

impl Task {
    pub(crate) fn new(node: u16, session: u32, kind: Kind, came: Micros, promised: Promised) -> Self {
        Self {
            node,
            session,
            kind,
            came,
            promised,
            stage: Stage::Idle,
            call: 0,
            cold: None,
            loaded: None,
            update: 0,
            begins_with_latest: false,
            conflicts: 0,
            commit_began: 0,
            commit_ends: 0,
            followers: Vec::new(),
            is_cached: true,
            repair: None,
        }
    }

    /// What the queues of a node know the session by.
    pub(crate) fn key(&self) -> (u16, u32) {
        (self.node, self.session)
    }
}
