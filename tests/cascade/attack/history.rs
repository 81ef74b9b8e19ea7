//! The operations on one session, as its clients saw them.

use std::fmt;
use std::time::Duration;

use session_tests::attack::View;

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Create,
    Read,
    Add,
    /// An add that the handler commits.
    Commit,
    /// An add that is committed while the body of the response is sent.
    Detach,
    Note,
    Rotate,
    /// Writes the privileged field, which ends every secret before.
    SignIn,
    Destroy,
}

impl Kind {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Add => "add",
            Self::Commit => "commit",
            Self::Detach => "detach",
            Self::Note => "note",
            Self::Rotate => "rotate",
            Self::SignIn => "sign-in",
            Self::Destroy => "destroy",
        }
    }

    pub(super) fn is_add(self) -> bool {
        matches!(self, Self::Add | Self::Commit | Self::Detach)
    }

    /// Whether the handler answers with the outcome of the commit.
    pub(super) fn tells_outcome(self) -> bool {
        matches!(self, Self::Commit | Self::Detach | Self::SignIn)
    }
}

/// How a successful response acknowledges the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Ack {
    /// Nothing was written.
    Clean,
    /// Every later reader sees it.
    Coherent,
    /// Every later reader sees it, though not in the cache.
    Degraded,
    /// Some readers may see the old value until the maximum staleness.
    Unfenced,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 200, with what the handler saw.
    Answered(View, Ack),
    /// The commit found that the session was gone.
    Gone,
    /// An error after which nothing was or will be written, or no connection.
    Refused(&'static str),
    /// No response, or one that says that the outcome is unknown.
    Unknown(&'static str),
    /// A response that no request may get.
    Unexpected(String),
}

impl Outcome {
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Answered(view, _) if view.is_new => "no session",
            Self::Answered(_, Ack::Clean) => "clean",
            Self::Answered(_, Ack::Coherent) => "coherent",
            Self::Answered(_, Ack::Degraded) => "degraded",
            Self::Answered(_, Ack::Unfenced) => "unfenced",
            Self::Gone => "gone",
            Self::Refused(word) | Self::Unknown(word) => word,
            Self::Unexpected(_) => "unexpected",
        }
    }
}

/// One operation. Times are since the start of the round.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) kind: Kind,
    /// Unique in a round.
    pub(super) number: u32,
    /// The node that the request was sent to.
    pub(super) node: usize,
    /// Which of the session's cookies was sent: 0 for the first, and one more after each rotation or sign-in.
    pub(super) cookie: u32,
    /// The number of the operation that the client got the cookie from.
    pub(super) issuer: u32,
    pub(super) start: Duration,
    pub(super) end: Duration,
    pub(super) outcome: Outcome,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (self.start.as_secs_f64(), self.end.as_secs_f64());
        write!(f, "{start:9.4}..{end:9.4} node {} ", self.node)?;
        write!(f, "cookie {} of {} ", self.cookie, self.issuer)?;
        write!(f, "{:?} {}: ", self.kind, self.number)?;
        match &self.outcome {
            Outcome::Answered(view, seen) if !view.is_new => write!(
                f,
                "{seen:?} id={} visits={} note={} user={} adds={:?}",
                view.id, view.visits, view.note, view.user, view.adds
            ),
            Outcome::Unexpected(what) => write!(f, "UNEXPECTED {what}"),
            outcome => f.write_str(outcome.label()),
        }
    }
}

/// Everything that was done to one session.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// The id that was stored in it when it was created.
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
