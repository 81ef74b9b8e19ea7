//! The smallest record in which a lost and a repeated update show, and the changes to it.

use session_runtime::__private::cascade::protocol::Change;
use session_runtime::tier::Version;

/// A record in the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
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
    nonces: Vec<u8>,
}

/// What an actor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// Loads so many times.
    Read(u8),
    /// Loads, then adds its bit.
    Add,
    /// Loads, then makes its own id the secret.
    Rotate,
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
    /// How many nonces a record keeps: fewer than a real one, so that a few writers push one out.
    kept_nonces: usize,
}

/// The record no longer accepts the request's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SecretRevoked;

impl Edit {
    pub(super) fn new(id: u8, role: Role, loaded: &Record, kept_nonces: usize) -> Self {
        Self {
            id,
            role,
            base: loaded.commits,
            secret: loaded.secret,
            kept_nonces,
        }
    }

    /// The loaded record with this change in it.
    pub(super) fn applied_to(&self, loaded: &Record) -> Record {
        self.made_in(loaded).unwrap_or_else(|SecretRevoked| loaded.clone())
    }

    fn made_in(&self, to: &Record) -> Result<Record, SecretRevoked> {
        if !self.is_secret_valid(to) {
            return Err(SecretRevoked);
        }
        let bit = 1 << self.id;
        let mut record = to.clone();
        record.applied_twice |= record.adds & bit != 0;
        record.adds |= bit;
        if self.role == Role::Rotate {
            record.previous = record.secret;
            record.secret = self.id;
        }
        record.commits += 1;
        if record.nonces.len() == self.kept_nonces {
            record.nonces.remove(0);
        }
        record.nonces.push(self.id);
        Ok(record)
    }

    fn is_secret_valid(&self, record: &Record) -> bool {
        self.secret == record.secret || self.secret == record.previous
    }
}

impl Change<Record> for Edit {
    type Error = SecretRevoked;

    fn apply(&mut self, to: &Record) -> Result<Record, SecretRevoked> {
        self.base = to.commits;
        self.made_in(to)
    }

    fn may_destroy(&self, record: &Record) -> bool {
        self.is_secret_valid(record)
    }

    fn was_applied(&self, record: &Record) -> Option<bool> {
        if record.nonces.contains(&self.id) {
            return Some(true);
        }
        (usize::from(record.commits - self.base) <= record.nonces.len()).then_some(false)
    }

    fn version_of(record: &Record) -> Version {
        Version(u64::from(record.commits))
    }
}
