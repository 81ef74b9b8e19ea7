//! Writers of one session in one process queue up here, rather than for the conflicts that they would make each other
//! in the durable tier. Correctness does not depend on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::inner::VersionedRecord;

/// What the last writer left for the next: the record as it has just been stored.
type LockSlot = Arc<AsyncMutex<Option<VersionedRecord>>>;

#[derive(Default)]
pub(crate) struct WriteLocks(Mutex<HashMap<String, LockSlot>>);

/// The guard of one writer.
pub(crate) struct WriteGuard<'a> {
    locks: &'a WriteLocks,
    key: String,
    slot: Option<OwnedMutexGuard<Option<VersionedRecord>>>,
}

impl WriteLocks {
    /// Waits for the guard to write `key`.
    pub(crate) async fn lock(&self, key: &str) -> WriteGuard<'_> {
        let slot = Arc::clone(
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(key.to_owned())
                .or_default(),
        );
        // Made before the wait, so that a writer who gives up leaves nothing behind.
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
    pub(crate) fn latest(&self) -> Option<&VersionedRecord> {
        self.slot.as_deref().and_then(Option::as_ref)
    }

    /// Leaves what was stored to the next.
    pub(crate) fn hand_over(&mut self, known: Option<VersionedRecord>) {
        if let Some(slot) = self.slot.as_deref_mut() {
            *slot = known;
        }
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        let mut map = self.locks.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.slot = None;
        // Only the map still holds it: clones are made under the map's lock alone.
        if map.get(&self.key).is_some_and(|slot| Arc::strong_count(slot) == 1) {
            map.remove(&self.key);
        }
    }
}
