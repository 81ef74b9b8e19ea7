//! What is to happen, by its time, and the time of what happened last.

use std::collections::BTreeMap;
use std::time::Duration;

use session_runtime::__private::cascade::protocol::{Action, Event};
use session_runtime::__private::session::meta::Millis;

use super::cache::Link;
use super::record::Shared;

/// A point in time, in microseconds since the simulation began.
pub(crate) type Micros = u64;

pub(crate) const MILLISECOND: Micros = 1_000;
pub(crate) const SECOND: Micros = 1_000_000;

/// The number of a task: of a request, or of work beside one.
pub(crate) type TaskId = u64;

/// Which call of which task an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) task: TaskId,
    pub(crate) call: u64,
}

/// Which attempt of which call of the durable tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) call: u64,
    pub(crate) number: u32,
}

#[derive(Debug)]
pub(crate) enum What {
    /// The next request comes.
    Request,
    /// The next write and the next read of the hot session come.
    HotRequests,
    /// A call reaches a memcached; a caller that gave up is `None`.
    AtCache(Option<Caller>, Link, Action<Shared>),
    /// An attempt reaches Datastore, whose answer takes so long.
    AtDurable(Attempt, u32, Action<Shared>, Micros),
    /// Datastore's answer is back on its node.
    Replied(Attempt, Event<Shared>),
    /// An attempt has had its time.
    AttemptEnds(Attempt),
    /// The pause before a call's next attempt is over.
    TryAgain(u64),
    /// A call has its answer; of a memcached over a link.
    Answer(Caller, Event<Shared>, Option<Link>),
    /// A machine's pause before its next action is over.
    Act(Caller, Action<Shared>),
    /// The pause before a writer's turn is over.
    Turn(TaskId),
    /// A writer has waited long enough for its turn.
    PatienceEnds(TaskId),
    /// A commit has had its time.
    CommitEnds(TaskId),
    /// An invalidation is tried again.
    RepairAgain(TaskId),
}

/// What happens at the same time happens in the order in which it was noted.
#[derive(Default)]
pub(crate) struct Calendar {
    coming: BTreeMap<(Micros, u64), What>,
    noted: u64,
    now: Micros,
}

impl Calendar {
    pub(crate) fn now(&self) -> Micros {
        self.now
    }

    /// The time of day, as the machines are told it. The simulation begins at an hour.
    pub(crate) fn time_of_day(&self) -> Millis {
        Millis(3_600_000 + self.now / MILLISECOND)
    }

    pub(crate) fn at(&mut self, at: Micros, what: What) {
        self.noted += 1;
        self.coming.insert((at, self.noted), what);
    }

    pub(crate) fn after(&mut self, pause: Micros, what: What) {
        self.at(self.now + pause, what);
    }

    /// Goes on to what happens next.
    pub(crate) fn next(&mut self) -> Option<What> {
        let ((at, _), what) = self.coming.pop_first()?;
        self.now = at;
        Some(what)
    }
}

pub(crate) fn micros(duration: Duration) -> Micros {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
