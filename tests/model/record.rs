//! The smallest record in which a lost and a repeated update show, and the changes to it.

use session_runtime::__private::cascade::protocol::Change;
use session_runtime::tier::Version;

use super::Setting;
use super::mutation::Mutation;

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

/// One writer's change, with what it loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Patch {
    pub(super) id: u8,
    pub(super) role: Role,
    /// The updates that were in the record that it loaded, where it rejects others.
    loaded: u8,
    secret: u8,
}

/// How many others' patches a writer takes along at the most.
pub(super) const MAX_FOLLOWERS: usize = 2;

/// The changes of one durable write: a writer's, and those of the writers of its process that have waited behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Edit {
    first: Patch,
    others: [Option<Patch>; MAX_FOLLOWERS],
    /// How many commits the record had seen that the next write is based on.
    base: u8,
    /// The actors whose patches could not be made in the record that was written last, one bit each.
    refused: u8,
    /// How many nonces a record keeps.
    kept_nonces: usize,
    mutation: Mutation,
}

/// The base of a change that was made in no record yet.
const NO_BASE: u8 = u8::MAX;

/// The record no longer accepts the request's secret, or its field was written by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Refused;

impl Patch {
    pub(super) fn new(id: u8, role: Role, loaded: Record) -> Self {
        Self {
            id,
            role,
            loaded: if role == Role::Reject { loaded.adds } else { 0 },
            secret: loaded.secret,
        }
    }

    fn make(self, to: Record) -> Result<Record, Refused> {
        let is_rejected = self.role == Role::Reject && to.adds != self.loaded;
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
        Ok(record)
    }

    fn is_secret_valid(self, record: Record) -> bool {
        self.secret == record.secret || self.secret == record.previous
    }
}

impl Edit {
    pub(super) fn new(first: Patch, others: &[Patch], setting: &Setting) -> Self {
        let mut followers = [None; MAX_FOLLOWERS];
        for (place, other) in followers.iter_mut().zip(others) {
            *place = Some(*other);
        }
        Self {
            first,
            others: followers,
            base: NO_BASE,
            refused: 0,
            kept_nonces: setting.kept_nonces(),
            mutation: setting.mutation,
        }
    }

    fn patches(&self) -> impl Iterator<Item = &Patch> {
        std::iter::once(&self.first).chain(self.others.iter().flatten())
    }

    /// The writers whose patches these are, one bit each.
    pub(super) fn writers(&self) -> u8 {
        self.patches().fold(0, |bits, patch| bits | 1 << patch.id)
    }

    /// Those of them whose patches are not in the record that was written last.
    pub(super) fn refused(&self) -> u8 {
        self.refused
    }
}

impl Change<Record> for Edit {
    type Error = Refused;

    fn apply(&mut self, to: &Record) -> Result<Record, Refused> {
        let keeps_outcome = self.mutation == Mutation::FirstOutcome && self.base != NO_BASE;
        self.base = to.commits;
        let (mut record, mut refused) = (*to, 0);
        for patch in self.patches() {
            match patch.make(record) {
                Ok(made) => record = made,
                Err(Refused) => refused |= 1 << patch.id,
            }
        }
        if !keeps_outcome {
            self.refused = refused;
        }
        if refused == self.writers() {
            return Err(Refused);
        }
        record.commits += 1;
        record.nonces.rotate_left(1);
        record.nonces[MAX_NONCES - 1] = self.first.id;
        record.nonces[..MAX_NONCES - self.kept_nonces].fill(0);
        Ok(record)
    }

    fn may_destroy(&self, record: &Record) -> bool {
        self.first.is_secret_valid(*record)
    }

    fn was_applied(&self, record: &Record) -> Option<bool> {
        if record.nonces.contains(&self.first.id) {
            return Some(true);
        }
        let base = if self.mutation == Mutation::EarlyBase {
            record.commits
        } else {
            self.base
        };
        let kept = record.nonces.iter().filter(|nonce| **nonce != 0).count();
        (usize::from(record.commits - base) <= kept).then_some(false)
    }

    fn version_of(record: &Record) -> Version {
        Version(u64::from(record.commits))
    }
}
