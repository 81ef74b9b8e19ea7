//! Writers of one session in one process queue here, rather than for the conflicts that they would cause each other in
//! the durable tier. Correctness does not depend on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::protocol::VersionedRecord;
use crate::session::record::Record;

type Latest = Option<VersionedRecord<Record>>;

/// What the last writer hands over to the next: the record as it has just been stored.
type LockSlot = Arc<AsyncMutex<Latest>>;

#[derive(Default)]
pub(crate) struct WriteLocks(Mutex<HashMap<String, LockSlot>>);

/// Held by the one writer of a session.
pub(crate) struct WriteGuard<'a> {
    locks: &'a WriteLocks,
    key: String,
    slot: Option<OwnedMutexGuard<Latest>>,
}

impl WriteLocks {
    /// Waits until no other writer of this process holds `key`.
    pub(crate) async fn lock(&self, key: &str) -> WriteGuard<'_> {
        let slot = Arc::clone(
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(key.to_owned())
                .or_default(),
        );
        // Made before the wait, so that a writer whose future is dropped while it waits leaves no entry behind.
        let mut guard = WriteGuard {
            locks: self,
            key: key.to_owned(),
            slot: None,
        };
        guard.slot = Some(slot.lock_owned().await);
        guard
    }
}

impl WriteGuard<'_> {
    /// What the writer before has just stored.
    pub(crate) fn latest(&self) -> Option<&VersionedRecord<Record>> {
        self.slot.as_deref().and_then(Option::as_ref)
    }

    /// Leaves what was stored to the next writer.
    pub(crate) fn hand_over(&mut self, stored: Latest) {
        if let Some(slot) = self.slot.as_deref_mut() {
            *slot = stored;
        }
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        let mut map = self.locks.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.slot = None;
        // The map holds the only reference: others are made under the map's lock alone.
        if map.get(&self.key).is_some_and(|slot| Arc::strong_count(slot) == 1) {
            map.remove(&self.key);
        }
    }
}
