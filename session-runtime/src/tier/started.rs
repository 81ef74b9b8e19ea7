//! Whether a call was begun before its caller gave it up.

use std::sync::atomic::{AtomicU8, Ordering};

const WAITING: u8 = 0;
const STARTED: u8 = 1;
const GIVEN_UP: u8 = 2;

/// Decides once whether a call that waits is started or given up: nothing is applied of one that was given up in time.
#[derive(Debug, Default)]
pub(crate) struct Started(AtomicU8);

impl Started {
    /// Starts the call; false if it was given up. May be asked again.
    pub(crate) fn start(&self) -> bool {
        self.decide(STARTED)
    }

    /// Gives the call up; false if it was started.
    pub(crate) fn give_up(&self) -> bool {
        self.decide(GIVEN_UP)
    }

    fn decide(&self, decision: u8) -> bool {
        match self
            .0
            .compare_exchange(WAITING, decision, Ordering::SeqCst, Ordering::SeqCst)
        {
            Ok(_) => true,
            Err(decided) => decided == decision,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_decides() {
        let started = Started::default();
        assert!(started.start() && started.start());
        assert!(!started.give_up());
        let given_up = Started::default();
        assert!(given_up.give_up());
        assert!(!given_up.start());
    }
}
