//! A circuit breaker: spares the requests from waiting, one after the other, for a server that does not answer.
//!
//! It skips `get`s and nothing else. A `get` that is skipped is one that failed, only sooner: a load asks the durable
//! tier and fills nothing. A fence that is skipped would leave other processes, which may well reach the server, with
//! the old value; so whatever writes is always tried.
//!
//! A commit's `get` after its durable write passes here too, and if it is skipped the commit ends as `Unfenced`, with
//! the invalidation queued. That is no worse than it has to be. Such a `get` is only made after the fence before it
//! went up (a commit whose fence failed covers the place with a `set`, without looking), and the answer to that fence
//! closed the breaker. It can have opened again only by [`FAILURES`] operations that all began after that answer and
//! had none themselves: this `get` would most likely have been the next. The queued invalidation is a `set`, hence
//! tried at once, and its answer closes the breaker. A fill that is skipped leaves its lease to expire. Where the cache
//! is all there is, a commit that looks for what an unanswered `swap` did may be skipped too: it ends as `Unknown`.
//!
//! The crates for this (`failsafe`, `recloser`) wrap every call of one kind and reject all while open; here writes
//! count, yet are never rejected. They also read a clock of their own, which a test with tokio's paused time cannot
//! move, and `failsafe` counts a failure of a call that began before the latest success.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many operations without an answer, and none with one in between, open the breaker: more than a lost packet or a
/// connection that a router forgot explain, and few enough that a frozen server is found out within a second of use.
const FAILURES: u32 = 3;
/// While it is open, one `get` in this time is let through to try. Long beside the timeout (250 ms), so that few
/// requests wait; short beside a restart, so that a server that is back is used again before anyone notices.
const PAUSE: Duration = Duration::from_secs(1);

/// The breaker of one server.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Operations without an answer since the latest answer.
    failures: u32,
    latest_answer: Option<Instant>,
    /// When the next `get` is let through, if the breaker is open.
    next_try: Option<Instant>,
}

impl Breaker {
    /// Whether a `get` may go to the server. The one that is let through to try has the next pause to itself, so that
    /// nothing is left behind if it is cancelled.
    pub(super) fn lets_through(&self, now: Instant) -> bool {
        let mut state = self.state();
        match state.next_try {
            Some(next_try) if now < next_try => false,
            Some(_) => {
                state.next_try = Some(now + PAUSE);
                true
            }
            None => true,
        }
    }

    /// Notes an answer, which closes the breaker; whether it was open.
    pub(super) fn answered(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.failures = 0;
        state.latest_answer = Some(now);
        state.next_try.take().is_some()
    }

    /// Notes that an operation that began at `asked_at` had no answer; whether this opened the breaker.
    ///
    /// An operation that began before the latest answer says nothing about the time after it. So what was under way
    /// while a server stood still does not open the breaker once it goes on, and neither does a pool that is too small.
    pub(super) fn failed(&self, asked_at: Instant, now: Instant) -> bool {
        let mut state = self.state();
        if state.latest_answer.is_some_and(|answer| asked_at < answer) {
            return false;
        }
        state.failures = state.failures.saturating_add(1);
        let opens = state.failures >= FAILURES && state.next_try.is_none();
        if opens {
            state.next_try = Some(now + PAUSE);
        }
        opens
    }

    /// No state is left half-changed where this could panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    fn open(now: Instant) -> Breaker {
        let breaker = Breaker::default();
        let opened: Vec<_> = (0..FAILURES).map(|_| breaker.failed(now, now)).collect();
        assert_eq!(opened, [false, false, true]);
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_through_after_every_pause() {
        let now = Instant::now();
        let breaker = open(now);
        assert!(!breaker.lets_through(now));
        assert!(!breaker.lets_through(now + PAUSE - MOMENT));
        for pauses in 1..4 {
            let now = now + PAUSE * pauses;
            assert!(breaker.lets_through(now));
            assert!(!breaker.lets_through(now), "one is enough");
            assert!(!breaker.lets_through(now + PAUSE - MOMENT));
        }
    }

    #[test]
    fn an_answer_closes_it_and_starts_the_count_anew() {
        let now = Instant::now();
        let breaker = open(now);
        assert!(breaker.answered(now + MOMENT));
        for _ in 1..FAILURES {
            assert!(breaker.lets_through(now + MOMENT));
            assert!(!breaker.failed(now + MOMENT, now + MOMENT));
        }
        assert!(!breaker.answered(now + MOMENT), "it was not open");
        assert!(!breaker.failed(now + MOMENT, now + MOMENT));
        assert!(breaker.lets_through(now + MOMENT));
    }

    #[test]
    fn what_began_before_the_latest_answer_does_not_count() {
        let now = Instant::now();
        let breaker = Breaker::default();
        breaker.answered(now + MOMENT);
        for _ in 0..FAILURES * 2 {
            assert!(!breaker.failed(now, now + MOMENT * 2));
        }
        assert!(breaker.lets_through(now + MOMENT * 2));
    }

    /// Writes that go on failing are no reason to go on without reads: they may fail for their size.
    #[test]
    fn failures_while_open_do_not_put_off_the_next_try() {
        let now = Instant::now();
        let breaker = open(now);
        assert!(!breaker.failed(now, now + PAUSE - MOMENT));
        assert!(breaker.lets_through(now + PAUSE));
    }
}
