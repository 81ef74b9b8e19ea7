//! The smallest record that can tell a lost update from a doubled one, and the changes made to it.

use session_runtime::__private::cascade::protocol::Change;
use session_runtime::tier::Version;

/// A record in the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Rec {
    /// Whose updates are in it, a bit each.
    pub(super) adds: u8,
    /// Whether an update was made more than once.
    pub(super) twice: bool,
    /// Who rotated it last.
    pub(super) secret: u8,
    /// The secret before, still honoured.
    pub(super) previous: u8,
    commits: u8,
    nonces: Vec<u8>,
}

/// What a part does to the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// Loads, a few times over.
    Read(u8),
    /// Loads, then adds its bit.
    Add,
    /// Loads, then makes its own number the secret.
    Rotate,
    /// Loads, then destroys.
    Destroy,
    /// Creates the session: nobody knows it before.
    Create,
}

/// A part's change, with what it knew when it set out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Edit {
    pub(super) who: u8,
    pub(super) part: Part,
    base: u8,
    knows: u8,
    /// How many nonces a record keeps. Fewer than the real ones, so that a few writers suffice to forget one.
    kept: usize,
}

/// The record knows the request's secret no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Forgotten;

impl Edit {
    pub(super) fn new(who: u8, part: Part, loaded: &Rec, kept: usize) -> Self {
        Self {
            who,
            part,
            base: loaded.commits,
            knows: loaded.secret,
            kept,
        }
    }

    /// This change made to a record that it set out from.
    pub(super) fn made(&self, loaded: &Rec) -> Rec {
        self.apply(loaded).unwrap_or_else(|Forgotten| loaded.clone())
    }

    fn is_known(&self, record: &Rec) -> bool {
        self.knows == record.secret || self.knows == record.previous
    }
}

impl Change<Rec> for Edit {
    type Error = Forgotten;

    fn apply(&self, to: &Rec) -> Result<Rec, Forgotten> {
        if !self.is_known(to) {
            return Err(Forgotten);
        }
        let bit = 1 << self.who;
        let mut record = to.clone();
        record.twice |= record.adds & bit != 0;
        record.adds |= bit;
        if self.part == Part::Rotate {
            record.previous = record.secret;
            record.secret = self.who;
        }
        record.commits += 1;
        if record.nonces.len() == self.kept {
            record.nonces.remove(0);
        }
        record.nonces.push(self.who);
        Ok(record)
    }

    fn may_destroy(&self, record: &Rec) -> bool {
        self.is_known(record)
    }

    fn was_applied(&self, record: &Rec) -> Option<bool> {
        if record.nonces.contains(&self.who) {
            return Some(true);
        }
        (usize::from(record.commits - self.base) <= record.nonces.len()).then_some(false)
    }

    fn version_of(record: &Rec) -> Version {
        Version(u64::from(record.commits))
    }
}
