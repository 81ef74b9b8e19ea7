//! The smallest record in which a lost and a repeated update show, and the changes to it.

use session_runtime::__private::cascade::protocol::Change;
use session_runtime::tier::Version;

/// A record in the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Record {
    /// The actors whose updates are in it, one bit each.
    pub(super) adds: u8,
    /// Whether an update was applied more than once.
    pub(super) applied_twice: bool,
    /// The actor that rotated it last.
    pub(super) secret: u8,
    /// The secret before the last rotation, still accepted.
    pub(super) previous: u8,
    commits: u8,
    /// The actors that committed last, in order, after zeros.
    nonces: [u8; MAX_NONCES],
}

/// How many nonces a record keeps at the most: fewer than a real one, so that a few writers push one out.
pub(super) const MAX_NONCES: usize = 2;

/// What an actor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// Loads so many times.
    Read(u8),
    /// Loads, then adds its bit.
    Add,
    /// Loads, then adds its bit, unless another has written since: as a field whose strategy is `reject`.
    Reject,
    /// Loads, then makes its own id the secret.
    Rotate,
    /// The same, but that the secret before is not accepted any more: as the write of a privileged field.
    SignIn,
    /// Loads, then destroys.
    Destroy,
    /// Creates the session. The others start once its cookie is sent.
    Create,
}

/// An actor's change, with what it loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Edit {
    pub(super) id: u8,
    pub(super) role: Role,
    base: u8,
    secret: u8,
    /// How many nonces a record keeps.
    kept_nonces: usize,
}

/// The record no longer accepts the request's secret, or its field was written by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Refused;

impl Edit {
    pub(super) fn new(id: u8, role: Role, loaded: Record, kept_nonces: usize) -> Self {
        Self {
            id,
            role,
            base: loaded.commits,
            secret: loaded.secret,
            kept_nonces,
        }
    }

    /// The loaded record with this change in it.
    pub(super) fn applied_to(&self, loaded: Record) -> Record {
        self.made_in(loaded).unwrap_or(loaded)
    }

    fn made_in(&self, to: Record) -> Result<Record, Refused> {
        let is_rejected = self.role == Role::Reject && to.commits != self.base;
        if is_rejected || !self.is_secret_valid(to) {
            return Err(Refused);
        }
        let bit = 1 << self.id;
        let mut record = to;
        record.applied_twice |= record.adds & bit != 0;
        record.adds |= bit;
        if matches!(self.role, Role::Rotate | Role::SignIn) {
            record.previous = record.secret;
            record.secret = self.id;
        }
        if self.role == Role::SignIn {
            record.previous = self.id;
        }
        record.commits += 1;
        record.nonces.rotate_left(1);
        record.nonces[MAX_NONCES - 1] = self.id;
        record.nonces[..MAX_NONCES - self.kept_nonces].fill(0);
        Ok(record)
    }

    fn is_secret_valid(&self, record: Record) -> bool {
        self.secret == record.secret || self.secret == record.previous
    }
}

impl Change<Record> for Edit {
    type Error = Refused;

    fn apply(&mut self, to: &Record) -> Result<Record, Refused> {
        // The base stays that of the load: the store knows more than this, and never less.
        self.made_in(*to)
    }

    fn may_destroy(&self, record: &Record) -> bool {
        self.is_secret_valid(*record)
    }

    fn was_applied(&self, record: &Record) -> Option<bool> {
        if record.nonces.contains(&self.id) {
            return Some(true);
        }
        let kept = record.nonces.iter().filter(|nonce| **nonce != 0).count();
        (usize::from(record.commits - self.base) <= kept).then_some(false)
    }

    fn version_of(record: &Record) -> Version {
        Version(u64::from(record.commits))
    }
}
