//! The owner's record, and its encoding.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::cascade::stored::StoredRecord;
use crate::cbor;
use crate::session::meta::{Millis, Nonce};
use crate::session::record::RecordError;

/// How long an epoch is kept, so that a sign-in that read another one before is refused. One that takes longer is refused
/// for that alone.
pub const EPOCH_KEPT: Duration = Duration::from_hours(24);

/// The format that this crate writes.
const FORMAT: u64 = 1;

/// Everything that is stored of one owner, with its encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OwnerRecord {
    list: OwnerList,
    bytes: Bytes,
}

/// The sessions of an owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OwnerList {
    format: u64,
    /// A random number, drawn anew whenever all sessions are ended; 0 where that was never, or long ago.
    pub epoch: u64,
    /// Until when the epoch is kept, whether or not there is a session.
    pub epoch_until: u64,
    /// The sessions that are signed in to, or may be at any moment.
    pub live: Vec<Entry>,
    /// The sessions that are to be destroyed.
    pub ending: Vec<Entry>,
}

/// A session in its owner's record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The session's storage key.
    pub key: String,
    /// Names this entry: each sign-in to the session makes another.
    pub nonce: u64,
    /// When the session was created, in milliseconds since the Unix epoch, as are the others.
    pub created: u64,
    /// When it was last signed in to.
    pub signed_in: u64,
    /// When it ends, even if it is in use.
    pub ends: u64,
    /// What the application calls the device.
    pub label: Option<String>,
}

impl Entry {
    /// Whether it is the entry with this key and nonce.
    pub fn is(&self, key: &str, nonce: Nonce) -> bool {
        self.key == key && self.nonce == nonce.0
    }
}

impl OwnerList {
    /// Whether this entry is among the live ones.
    pub fn is_live(&self, key: &str, nonce: Nonce) -> bool {
        self.live.iter().any(|entry| entry.is(key, nonce))
    }

    /// Forgets what could not be destroyed for so long that it has ended by itself, on every clock.
    pub(super) fn forget_old(&mut self, now: Millis) {
        self.ending.retain(|entry| now < Millis(entry.ends).after(EPOCH_KEPT));
    }

    /// From when on nothing in it counts.
    fn ends(&self) -> Millis {
        let entries = self.live.iter().chain(&self.ending).map(|entry| entry.ends);
        Millis(entries.fold(self.epoch_until, u64::max))
    }
}

impl OwnerRecord {
    /// The record of this list.
    pub fn new(mut list: OwnerList) -> Self {
        list.format = FORMAT;
        // Integers, strings and lists of these: they have an encoding.
        let bytes = cbor::to_vec(&list).unwrap_or_default().into();
        Self { list, bytes }
    }

    /// What it lists.
    pub fn list(&self) -> &OwnerList {
        &self.list
    }
}

impl StoredRecord for OwnerRecord {
    const IS_NEVER_A_COPY: bool = true;

    fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        let list: OwnerList = cbor::from_slice(bytes)?;
        if list.format != FORMAT {
            return Err(RecordError::of_format(list.format));
        }
        let bytes = bytes.clone();
        Ok(Self { list, bytes })
    }

    fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    fn expires_at(&self, _: Duration) -> Millis {
        self.list.ends()
    }

    /// Of a record that nobody can verify, but in which nothing counts any more: an older key has signed it, and was dropped
    /// when its last session had ended.
    fn in_place_of(unverified: &Bytes, now: Millis, forgets: bool) -> Option<Self> {
        let has_ended = |old: Self| old.list.ends() <= now;
        (forgets || Self::decode(unverified).is_ok_and(has_ended)).then(Self::default)
    }
}
