//! The patches of one durable write.

use super::patch::{Patch, PatchError};
use super::protocol::Change;
use crate::session::meta::Nonce;
use crate::session::record::Record;
use crate::tier::Version;

/// The patches of writers of one session, made one after the other in one durable write. It counts as one commit of the
/// record, under the first patch's nonce.
#[derive(Clone, Debug)]
pub struct Batch {
    first: Box<Patch>,
    others: Vec<Patch>,
    nonce: Nonce,
    /// How many commits the record had seen that the next write is based on; `None` before there is one.
    base_commits: Option<u64>,
    /// Why patches could not be made in the record that was to be written last, each by its place.
    refused: Vec<(usize, PatchError)>,
    /// How often they were applied again, to a record that others had changed.
    rebases: u32,
}

impl Batch {
    /// One patch, and those of others that wait behind it.
    pub fn new(first: Box<Patch>, others: Vec<Patch>) -> Self {
        Self {
            nonce: first.nonce,
            base_commits: None,
            refused: Vec::new(),
            rebases: 0,
            first,
            others,
        }
    }

    /// The session's name.
    pub(super) fn session(&self) -> &'static str {
        self.first.schema.name
    }

    /// Whether the session gets a new secret. Such a patch is written alone.
    pub(super) fn rotates(&self) -> bool {
        self.first.rotation.is_some()
    }

    /// How often others have written between a record that it was applied to and the next one.
    pub(super) fn rebases(&self) -> u32 {
        self.rebases
    }

    /// Whether the request may destroy the record.
    pub(super) fn check_secret(&self, record: &Record) -> Result<(), PatchError> {
        self.first.check_secret(record.meta()).map(drop)
    }

    /// Why the patch at this place could not be made; `None` where it was.
    pub(super) fn refusal(&self, place: usize) -> Option<&PatchError> {
        let refused = self.refused.iter().find(|(refused, _)| *refused == place);
        refused.map(|(_, error)| error)
    }
}

impl Change<Record> for Batch {
    type Error = PatchError;

    /// # Errors
    /// That of the first patch, where none can be made.
    fn apply(&mut self, to: &Record) -> Result<Record, PatchError> {
        // No write based on an earlier record was applied, or else there were nothing to apply to this one.
        let commits = to.meta().commits;
        self.rebases += u32::from(self.base_commits.is_some_and(|base| base != commits));
        self.base_commits = Some(commits);
        self.refused.clear();
        let mut record = None;
        for (place, patch) in std::iter::once(&*self.first).chain(&self.others).enumerate() {
            let nonce = record.is_none().then_some(self.nonce);
            match patch.make(record.as_ref().unwrap_or(to), nonce) {
                Ok(made) => record = Some(made),
                Err(error) => self.refused.push((place, error)),
            }
        }
        let refused = || {
            self.refused
                .first()
                .map_or(PatchError::Ended, |(_, error)| error.clone())
        };
        record.ok_or_else(refused)
    }

    fn may_destroy(&self, record: &Record) -> bool {
        self.check_secret(record).is_ok()
    }

    fn was_applied(&self, record: &Record) -> Option<bool> {
        record.meta().was_applied(self.nonce, self.base_commits.unwrap_or(0))
    }

    fn version_of(record: &Record) -> Version {
        Version(record.meta().commits)
    }
}
