//! What a store keeps under a key: the record of a session, or that of an owner.

use std::time::Duration;

use bytes::Bytes;

use crate::session::meta::Millis;
use crate::session::record::{Record, RecordError};

/// A record of either kind, as the tiers get it.
pub trait StoredRecord: Clone {
    /// The record that has this encoding, whose memory it may share.
    fn decode(bytes: &Bytes) -> Result<Self, RecordError>;

    /// Its encoding.
    fn bytes(&self) -> &Bytes;

    /// From when on a tier may delete it. `default_idle` is the store's idle time.
    fn expires_at(&self, default_idle: Duration) -> Millis;

    /// Whether what a cache has of it is never a copy of what another tier has, so that it does not become too old.
    const IS_NEVER_A_COPY: bool = false;

    /// The record to go on with where what is stored was signed by a key that is not in the ring, and whether the store is
    /// told to forget such records. Default: none.
    fn in_place_of(_unverified: &Bytes, _now: Millis, _forgets: bool) -> Option<Self> {
        None
    }
}

impl StoredRecord for Record {
    fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        Self::decode(bytes)
    }

    fn bytes(&self) -> &Bytes {
        self.bytes()
    }

    fn expires_at(&self, default_idle: Duration) -> Millis {
        self.meta().expires_at(default_idle)
    }
}
