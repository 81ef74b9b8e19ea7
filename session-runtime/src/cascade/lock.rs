//! Writers of one session in one process queue up here, rather than for the conflicts that they would make each other
//! in the durable tier. Correctness does not depend on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::inner::Known;

/// What the last writer left for the next: the record as it has just been stored.
type Seat = Arc<AsyncMutex<Option<Known>>>;

#[derive(Default)]
pub(crate) struct Locks(Mutex<HashMap<String, Seat>>);

/// The turn of one writer.
pub(crate) struct Turn<'a> {
    locks: &'a Locks,
    key: String,
    seat: Option<OwnedMutexGuard<Option<Known>>>,
}

impl Locks {
    /// Waits for the turn to write `key`.
    pub(crate) async fn turn(&self, key: &str) -> Turn<'_> {
        let seat = Arc::clone(
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(key.to_owned())
                .or_default(),
        );
        // Made before the wait, so that a writer who gives up leaves nothing behind.
        let mut turn = Turn {
            locks: self,
            key: key.to_owned(),
            seat: None,
        };
        turn.seat = Some(seat.lock_owned().await);
        turn
    }
}

impl Turn<'_> {
    /// What the writer before has just stored.
    pub(crate) fn latest(&self) -> Option<&Known> {
        self.seat.as_deref().and_then(Option::as_ref)
    }

    /// Leaves what was stored to the next.
    pub(crate) fn leave(&mut self, known: Option<Known>) {
        if let Some(seat) = self.seat.as_deref_mut() {
            *seat = known;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut map = self.locks.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.seat = None;
        // Only the map still holds it: clones are made under the map's lock alone.
        if map.get(&self.key).is_some_and(|seat| Arc::strong_count(seat) == 1) {
            map.remove(&self.key);
        }
    }
}
