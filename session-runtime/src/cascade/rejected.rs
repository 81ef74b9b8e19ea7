//! Tokens that were looked up in vain, so that a client that sends one again and again costs the durable tier one read
//! per token and interval, and cannot displace what the cache has of the session.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::session::meta::{Millis, SecretHash};

/// How long a rejected token is remembered. A token that was once rejected is never valid again, so the bound only
/// limits the memory, and how long a durable tier that was restored from a backup is not noticed.
const INTERVAL: Duration = Duration::from_secs(30);
/// How many are remembered, at about 80 bytes each.
const MAX_TOKENS: usize = 4096;

/// The rejected tokens, by the hash of their secret.
#[derive(Debug, Default)]
pub(super) struct RejectedTokens {
    /// When the last of them is forgotten, in [`Millis`]. Read without the lock: most nodes, most of the time, remember
    /// none.
    forget_all_at: AtomicU64,
    tokens: Mutex<HashMap<SecretHash, Rejected>>,
}

#[derive(Clone, Copy, Debug)]
struct Rejected {
    /// Until then the session exists, with another secret. From then on the token is like any dead one.
    superseded_until: Millis,
    forget_at: Millis,
}

impl Rejected {
    /// No longer than the interval, also where the clock was set back since.
    fn is_remembered(&self, now: Millis) -> bool {
        now < self.forget_at && self.forget_at.since(now) <= INTERVAL
    }
}

/// Why a token was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    Superseded,
    NoSession,
}

impl RejectedTokens {
    /// Why the token was rejected, if it was within the last interval.
    pub(super) fn get(&self, secret: &SecretHash, now: Millis) -> Option<Rejection> {
        if self.forget_all_at.load(Ordering::Relaxed) <= now.0 {
            return None;
        }
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let rejected = tokens.get(secret).filter(|rejected| rejected.is_remembered(now))?;
        Some(if now < rejected.superseded_until {
            Rejection::Superseded
        } else {
            Rejection::NoSession
        })
    }

    /// Remembers that the token was rejected, until when as superseded.
    pub(super) fn insert(&self, secret: SecretHash, superseded_until: Option<Millis>, now: Millis) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MAX_TOKENS {
            tokens.retain(|_, rejected| rejected.is_remembered(now));
        }
        if tokens.len() >= MAX_TOKENS {
            tokens.clear();
        }
        let rejected = Rejected {
            superseded_until: superseded_until.unwrap_or_default(),
            forget_at: now.after(INTERVAL),
        };
        tokens.insert(secret, rejected);
        self.forget_all_at.fetch_max(rejected.forget_at.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(number: u64) -> SecretHash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_le_bytes());
        SecretHash(hash)
    }

    #[test]
    fn a_superseded_token_becomes_a_dead_one_and_is_then_forgotten() {
        let rejected = RejectedTokens::default();
        let now = Millis(1_000_000);
        assert_eq!(rejected.get(&secret(1), now), None);
        rejected.insert(secret(1), Some(now.after(Duration::from_secs(5))), now);
        assert_eq!(rejected.get(&secret(1), now), Some(Rejection::Superseded));
        assert_eq!(rejected.get(&secret(2), now), None);
        let later = now.after(Duration::from_secs(5));
        assert_eq!(rejected.get(&secret(1), later), Some(Rejection::NoSession));
        assert_eq!(rejected.get(&secret(1), now.after(INTERVAL)), None);
    }

    #[test]
    fn no_more_are_remembered_than_the_bound() {
        let rejected = RejectedTokens::default();
        let now = Millis(1_000_000);
        for number in 0..2 * MAX_TOKENS as u64 {
            rejected.insert(secret(number), None, now);
        }
        let len = rejected.tokens.lock().unwrap().len();
        assert!(len <= MAX_TOKENS, "{len}");
        let last = secret(2 * MAX_TOKENS as u64 - 1);
        assert_eq!(rejected.get(&last, now), Some(Rejection::NoSession));
    }
}
