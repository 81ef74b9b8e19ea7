//! What is said of a sign-in before it is made.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cascade::owner::record::EPOCH_KEPT;
use crate::session::meta::{Millis, OwnerHash};

/// What a handler says of the sign-in that it makes.
#[derive(Clone, Default)]
pub(super) struct SignInOptions {
    /// What the device is called.
    pub(super) label: Option<String>,
    /// The epoch that the sign-in began in.
    pub(super) epoch: Option<OwnerEpoch>,
}

/// The number of an owner's epoch, which changes whenever all sessions of the owner are ended.
///
/// Read it before the password is looked at, and hand it in with the sign-in:
/// [`sign_in_within`](crate::TypedSession::sign_in_within). It may be kept in a session between the two, for 23 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerEpoch {
    owner: [u8; 32],
    number: u64,
    read_at: u64,
}

impl OwnerEpoch {
    /// This one, of this owner, as it was read.
    pub(super) fn new(owner: OwnerHash, number: u64, read_at: Millis) -> Self {
        Self {
            owner: owner.0,
            number,
            read_at: read_at.0,
        }
    }

    /// The number, where it is this owner's and still holds.
    pub(super) fn number_for(&self, owner: OwnerHash, now: Millis) -> Option<u64> {
        /// For clocks that differ.
        const MARGIN: Duration = Duration::from_hours(1);
        let age = now.since(Millis(self.read_at));
        (self.owner == owner.0 && age < EPOCH_KEPT.saturating_sub(MARGIN)).then_some(self.number)
    }
}
