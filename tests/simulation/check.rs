//! Whether the protocol keeps its promises: what was acknowledged is stored, once, and seen by who asks afterwards.

use session_runtime::__private::cascade::protocol::Item;

use super::record::{Shared, digest};
use super::sessions::{Promised, Session};

const STORED: u8 = 1;
const ACKNOWLEDGED: u8 = 2;
const REFUSED: u8 = 4;

/// The violations that are described; the others are counted.
const DESCRIBED: usize = 10;

/// What is known of each update, and what went wrong.
#[derive(Default)]
pub(crate) struct Check {
    updates: Vec<u8>,
    pub(crate) violations: u64,
    pub(crate) descriptions: Vec<String>,
    /// Loads that saw less than a commit which was acknowledged as degraded or unfenced. These may.
    pub(crate) stale: u64,
}

impl Check {
    /// A new update.
    pub(crate) fn update(&mut self) -> u32 {
        self.updates.push(0);
        u32::try_from(self.updates.len() - 1).unwrap_or(u32::MAX)
    }

    fn violated(&mut self, description: impl FnOnce() -> String) {
        self.violations += 1;
        if self.descriptions.len() < DESCRIBED {
            self.descriptions.push(description());
        }
    }

    fn note(&mut self, update: u32, what: u8) -> u8 {
        let known = &mut self.updates[update as usize];
        let before = *known;
        *known |= what;
        before
    }

    /// A record was stored in place of another. It has to be that one, and the updates of one commit.
    pub(crate) fn wrote(&mut self, session: u32, before: Option<&Shared>, after: &Shared) {
        let digests = after.latest.iter().map(|update| digest(*update));
        let expected = digests.fold(before.map_or(0, |before| before.sum), u64::wrapping_add);
        if after.sum != expected {
            self.violated(|| format!("session {session}: a write loses updates"));
        }
        for update in &after.latest {
            let known = self.note(*update, STORED);
            if known & STORED != 0 {
                self.violated(|| format!("session {session}: update {update} is stored twice"));
            }
            if known & REFUSED != 0 {
                self.violated(|| format!("session {session}: update {update} is stored although it was refused"));
            }
        }
    }

    /// The writer was told that its update is stored.
    pub(crate) fn acknowledged(&mut self, session: u32, update: u32) {
        if self.note(update, ACKNOWLEDGED) & STORED == 0 {
            self.violated(|| format!("session {session}: update {update} is acknowledged and not stored"));
        }
    }

    /// The writer was told that its update is not stored, nor will be.
    pub(crate) fn refused(&mut self, session: u32, update: u32) {
        if self.note(update, REFUSED) & STORED != 0 {
            self.violated(|| format!("session {session}: update {update} is refused and stored"));
        }
    }

    /// The writer was told that the session has ended. Its update may have been stored before.
    pub(crate) fn gone(&mut self, id: u32, session: &Session) {
        if !session.is_leaving {
            self.violated(|| format!("session {id}: gone, but not destroyed"));
        }
    }

    /// A load that began when this was promised found a version, or nothing.
    pub(crate) fn loaded(&mut self, id: u32, session: &Session, promised: Promised, found: Option<u64>) {
        match found {
            Some(_) if promised.is_destroyed => self.violated(|| format!("session {id}: found after its end")),
            Some(version) if version < promised.coherent => {
                self.violated(|| format!("session {id}: version {version} is read after {}", promised.coherent));
            }
            Some(version) if version < promised.acknowledged => self.stale += 1,
            None if !session.is_leaving => self.violated(|| format!("session {id}: not found, but not destroyed")),
            _ => {}
        }
    }

    /// At the end, when nothing is under way: the cache shows nothing older than what was acknowledged.
    pub(crate) fn ended(&mut self, sessions: &[Session]) {
        for (id, session) in sessions.iter().enumerate() {
            let shown = session.cached.as_ref().and_then(|cached| match &cached.item {
                Item::Value { version, .. } => Some(version.0),
                _ => None,
            });
            let is_stale = shown.is_some_and(|version| version < session.promised.coherent);
            let is_lost = session.durable.is_none() && session.promised.coherent > 0 && !session.is_leaving;
            if is_stale || is_lost {
                self.violated(|| format!("session {id}: the tiers end with less than was acknowledged"));
            }
        }
    }
}
