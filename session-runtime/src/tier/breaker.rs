//! A circuit breaker: requests do not wait, one after the other, for a server that does not answer.
//!
//! It rejects `get`s and nothing else. A rejected `get` is a failure without the wait: the load reads the durable tier
//! and does not fill the cache. Writes are never rejected: without a commit's fence, other processes, which may still
//! reach the server, would go on reading the old value.
//!
//! What a rejected `get` costs its caller:
//! - A commit after its durable write ends as `Unfenced`, and the invalidation is queued. This is rare: the commit's
//!   fence was answered before, which closed the breaker, so [`FAILURE_THRESHOLD`] operations that began since must have
//!   failed. The queued invalidation is a `set`, which is tried at once and closes the breaker if it is answered.
//! - A fill leaves its lease to expire.
//! - A commit to the cache alone that reads back what an unanswered `swap` did ends as `Unknown`.
//!
//! The crates `failsafe` and `recloser` reject every call while open, whereas here writes count and are never rejected.
//! They also read the system's clock, which a test with tokio's paused time cannot move, and `failsafe` counts the
//! failure of a call that began before the latest success.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// This many operations in a row without an answer open the breaker: more than a lost packet or a connection dropped by
/// a router account for, and few enough that a frozen server is detected within a second (3 timeouts of 250 ms).
const FAILURE_THRESHOLD: u32 = 3;
/// While the breaker is open, one `get` in this time is allowed, to see whether the server is back. Longer than the
/// timeout (250 ms), so that few requests wait, and shorter than a restart takes.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The breaker of one server.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Operations without an answer since the latest answer.
    failures: u32,
    latest_answer: Option<Instant>,
    /// When the next `get` is allowed, if the breaker is open.
    next_attempt: Option<Instant>,
}

impl Breaker {
    /// Whether a `get` may be sent to the server. While the breaker is open, allowing one puts off the next by
    /// [`RETRY_INTERVAL`], so that a cancelled `get` leaves no state to clean up.
    pub(super) fn allow_read(&self, now: Instant) -> bool {
        let mut state = self.state();
        match state.next_attempt {
            Some(next_attempt) if now < next_attempt => false,
            Some(_) => {
                state.next_attempt = Some(now + RETRY_INTERVAL);
                true
            }
            None => true,
        }
    }

    /// Records an answer, which closes the breaker; returns whether it was open.
    pub(super) fn record_answer(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.failures = 0;
        state.latest_answer = Some(now);
        state.next_attempt.take().is_some()
    }

    /// Records that an operation that began at `started_at` had no answer; returns whether this opened the breaker.
    ///
    /// An operation that began before the latest answer is not counted: the server has answered since. So neither the
    /// operations that timed out during a short freeze nor a pool that is too small open the breaker.
    pub(super) fn record_failure(&self, started_at: Instant, now: Instant) -> bool {
        let mut state = self.state();
        if state.latest_answer.is_some_and(|answer| started_at < answer) {
            return false;
        }
        state.failures = state.failures.saturating_add(1);
        let opens = state.failures >= FAILURE_THRESHOLD && state.next_attempt.is_none();
        if opens {
            state.next_attempt = Some(now + RETRY_INTERVAL);
        }
        opens
    }

    /// A poisoned lock is usable: nothing that changes the state can panic halfway.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn open(now: Instant) -> Breaker {
        let breaker = Breaker::default();
        let opened: Vec<_> = (0..FAILURE_THRESHOLD)
            .map(|_| breaker.record_failure(now, now))
            .collect();
        assert_eq!(opened, [false, false, true]);
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_allows_one_read_per_interval() {
        let now = Instant::now();
        let breaker = open(now);
        assert!(!breaker.allow_read(now));
        assert!(!breaker.allow_read(now + RETRY_INTERVAL - MILLISECOND));
        for intervals in 1..4 {
            let now = now + RETRY_INTERVAL * intervals;
            assert!(breaker.allow_read(now));
            assert!(!breaker.allow_read(now), "only one per interval");
            assert!(!breaker.allow_read(now + RETRY_INTERVAL - MILLISECOND));
        }
    }

    #[test]
    fn an_answer_closes_it_and_starts_the_count_anew() {
        let now = Instant::now();
        let breaker = open(now);
        assert!(breaker.record_answer(now + MILLISECOND));
        for _ in 1..FAILURE_THRESHOLD {
            assert!(breaker.allow_read(now + MILLISECOND));
            assert!(!breaker.record_failure(now + MILLISECOND, now + MILLISECOND));
        }
        assert!(!breaker.record_answer(now + MILLISECOND), "it was not open");
        assert!(!breaker.record_failure(now + MILLISECOND, now + MILLISECOND));
        assert!(breaker.allow_read(now + MILLISECOND));
    }

    #[test]
    fn an_operation_that_began_before_the_latest_answer_does_not_count() {
        let now = Instant::now();
        let breaker = Breaker::default();
        breaker.record_answer(now + MILLISECOND);
        for _ in 0..FAILURE_THRESHOLD * 2 {
            assert!(!breaker.record_failure(now, now + MILLISECOND * 2));
        }
        assert!(breaker.allow_read(now + MILLISECOND * 2));
    }

    /// Writes may go on failing for a reason of their own, such as their size, while reads would succeed.
    #[test]
    fn failures_while_open_do_not_put_off_the_next_attempt() {
        let now = Instant::now();
        let breaker = open(now);
        assert!(!breaker.record_failure(now, now + RETRY_INTERVAL - MILLISECOND));
        assert!(breaker.allow_read(now + RETRY_INTERVAL));
    }
}
