//! What happened to one session, as its clients saw it.

use std::fmt;
use std::time::Duration;

use session_tests::attack::View;

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Create,
    Read,
    Add,
    Note,
    Rotate,
    Destroy,
}

impl Kind {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Add => "add",
            Self::Note => "note",
            Self::Rotate => "rotate",
            Self::Destroy => "destroy",
        }
    }
}

/// What a successful answer says of the caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Seen {
    /// Nothing was written.
    Clean,
    /// Every later reader sees it.
    ByAll,
    /// Every later reader sees it, though not in the cache.
    Degraded,
    /// Some may see the value before it for as long as a cached record is believed.
    Unfenced,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 200, with what the handler saw.
    Answered(View, Seen),
    /// The commit found the session ended.
    Gone,
    /// An error that says that nothing was or will be written, or no connection at all.
    Refused(&'static str),
    /// No answer, or one that says that it is not known.
    Unknown(&'static str),
    /// An answer that there should never be.
    Wrong(String),
}

impl Outcome {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Answered(view, _) if view.is_new => "no session",
            Self::Answered(_, Seen::Clean) => "clean",
            Self::Answered(_, Seen::ByAll) => "seen by all",
            Self::Answered(_, Seen::Degraded) => "degraded",
            Self::Answered(_, Seen::Unfenced) => "unfenced",
            Self::Gone => "gone",
            Self::Refused(word) | Self::Unknown(word) => word,
            Self::Wrong(_) => "wrong",
        }
    }
}

/// One operation, with real times since the start of the round.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) kind: Kind,
    /// Names the operation; given once in a round.
    pub(super) number: u32,
    /// The node that was asked.
    pub(super) node: usize,
    /// Which of the session's cookies it came with: 0 is the first, and each rotation gives the next one.
    pub(super) cookie: u32,
    pub(super) start: Duration,
    pub(super) end: Duration,
    pub(super) outcome: Outcome,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (self.start.as_secs_f64(), self.end.as_secs_f64());
        write!(f, "{start:9.4}..{end:9.4} node {} cookie {} ", self.node, self.cookie)?;
        write!(f, "{:?} {}: ", self.kind, self.number)?;
        match &self.outcome {
            Outcome::Answered(view, seen) if !view.is_new => write!(
                f,
                "{seen:?} id={} visits={} note={} adds={:?}",
                view.id, view.visits, view.note, view.adds
            ),
            Outcome::Wrong(what) => write!(f, "WRONG {what}"),
            outcome => f.write_str(outcome.word()),
        }
    }
}

/// Everything that was done to one session.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// The id that was written into it when it was created.
    pub(super) id: u64,
    pub(super) ops: Vec<Op>,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "session {}:", self.id)?;
        let mut ops: Vec<_> = self.ops.iter().collect();
        ops.sort_by_key(|op| op.start);
        ops.iter().try_for_each(|op| writeln!(f, "  {op}"))
    }
}
