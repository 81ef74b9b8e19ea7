//! The smallest record that tells which updates are in it, and the changes to it.

use std::convert::Infallible;
use std::rc::Rc;

use session_runtime::__private::cascade::protocol::Change;
use session_runtime::__private::session::meta::{Meta, Millis, Nonce};
use session_runtime::tier::Version;

/// A record, shared by the tiers and the requests that hold it.
pub(crate) type Shared = Rc<Record>;

/// The metadata of a real record, and the sum of its updates in place of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) meta: Meta,
    /// The sum of the digests of all updates that are in it.
    pub(crate) sum: u64,
    /// The updates of the latest commit.
    pub(crate) latest: Vec<u32>,
}

/// The updates that one commit makes: the patches of a batch, under the first one's nonce.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    updates: Vec<u32>,
    now: Millis,
    base_commits: u64,
}

impl Edit {
    /// The first update gives its nonce.
    pub(crate) fn new(updates: Vec<u32>, now: Millis) -> Self {
        let base_commits = 0;
        Self {
            updates,
            now,
            base_commits,
        }
    }

    fn nonce(&self) -> Nonce {
        Nonce(self.updates.first().map_or(0, |update| digest(*update)))
    }
}

/// A number that stands for an update, so that sums of them differ (the last step of `SplitMix64`).
pub(crate) fn digest(update: u32) -> u64 {
    let mut mixed = u64::from(update).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Change<Shared> for Edit {
    type Error = Infallible;

    fn apply(&mut self, to: &Shared) -> Result<Shared, Infallible> {
        self.base_commits = to.meta.commits;
        let mut meta = to.meta.clone();
        meta.push(self.nonce());
        meta.renewed = meta.renewed.max(self.now);
        let updates = self.updates.iter().map(|update| digest(*update));
        Ok(Rc::new(Record {
            meta,
            sum: updates.fold(to.sum, u64::wrapping_add),
            latest: self.updates.clone(),
        }))
    }

    fn may_destroy(&self, _: &Shared) -> bool {
        true
    }

    fn was_applied(&self, record: &Shared) -> Option<bool> {
        record.meta.was_applied(self.nonce(), self.base_commits)
    }

    fn version_of(record: &Shared) -> Version {
        Version(record.meta.commits)
    }
}
