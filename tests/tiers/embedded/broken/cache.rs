//! Caches with one fault each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::conformance::{self, Options, Violation};
use session_runtime::tier::{CacheTier, Cached, Scope, Swap, TierError, Token};
use session_runtime::{Clock, ManualClock};

use super::{LIMIT, check_len};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum CacheFault {
    None,
    AddOverwrites,
    SetKeepsTheOld,
    TokenFromContent,
    SwapIgnoresTheToken,
    SwapCreates,
    RemoveIgnoresTheToken,
    SwapIsNotAtomic,
    AddIsNotAtomic,
    CutsAtNul,
    FoldsCase,
    CutsLongKeys,
    TruncatesLargeValues,
    SilentlyDropsTooLarge,
    NeverExpires,
    SwapKeepsTheTtl,
    AddSeesTheExpired,
    ReturnsTheReplyToADroppedCall,
}

struct BrokenCache {
    fault: CacheFault,
    entries: Mutex<BTreeMap<String, (Bytes, Token, SystemTime)>>,
    tokens: AtomicU64,
    clock: ManualClock,
    /// The unread reply to a dropped call.
    unread: Mutex<Vec<Option<Cached>>>,
}

impl BrokenCache {
    fn is(&self, fault: CacheFault) -> bool {
        self.fault == fault
    }

    fn key(&self, key: &str) -> String {
        match self.fault {
            CacheFault::FoldsCase => key.to_lowercase(),
            CacheFault::CutsLongKeys => key.chars().take(249).collect(),
            _ => key.to_owned(),
        }
    }

    fn found(&self, key: &str) -> Option<Cached> {
        let entries = self.entries.lock().unwrap();
        let (value, token, deadline) = entries.get(&self.key(key)).cloned()?;
        let is_live = self.clock.now() < deadline || self.is(CacheFault::NeverExpires);
        is_live.then_some(Cached { value, token })
    }

    fn put(&self, key: &str, value: &Bytes, ttl: Duration) {
        let mut value = value.clone();
        if self.is(CacheFault::CutsAtNul) {
            value.truncate(value.iter().position(|byte| *byte == 0).unwrap_or(value.len()));
        }
        if self.is(CacheFault::TruncatesLargeValues) {
            value.truncate(65_535);
        }
        let token = if self.is(CacheFault::TokenFromContent) {
            value.iter().fold(7, |hash: u64, byte| {
                hash.wrapping_mul(31).wrapping_add(u64::from(*byte))
            })
        } else {
            self.tokens.fetch_add(1, Ordering::SeqCst)
        };
        let deadline = self.clock.now() + ttl;
        self.entries
            .lock()
            .unwrap()
            .insert(self.key(key), (value, Token(token), deadline));
    }
}

impl CacheTier for BrokenCache {
    fn name(&self) -> &'static str {
        "broken-cache"
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    fn max_value_len(&self) -> usize {
        LIMIT
    }

    async fn get(&self, key: &str) -> Result<Option<Cached>, TierError> {
        let found = self.found(key);
        if self.is(CacheFault::ReturnsTheReplyToADroppedCall) {
            if let Some(unread) = self.unread.lock().unwrap().pop() {
                return Ok(unread);
            }
            self.unread.lock().unwrap().push(found.clone());
            tokio::task::yield_now().await;
            self.unread.lock().unwrap().pop();
        }
        Ok(found)
    }

    async fn add(&self, key: &str, value: Bytes, ttl: Duration) -> Result<bool, TierError> {
        check_len(&value)?;
        let has_entry = self.entries.lock().unwrap().contains_key(&self.key(key));
        let is_free = if self.is(CacheFault::AddSeesTheExpired) {
            !has_entry
        } else {
            self.found(key).is_none()
        };
        if self.is(CacheFault::AddIsNotAtomic) {
            tokio::task::yield_now().await;
        }
        if is_free || self.is(CacheFault::AddOverwrites) {
            self.put(key, &value, ttl);
        }
        Ok(is_free)
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), TierError> {
        if self.is(CacheFault::SilentlyDropsTooLarge) && value.len() > LIMIT {
            self.entries.lock().unwrap().remove(&self.key(key));
            return Ok(());
        }
        check_len(&value)?;
        if !(self.is(CacheFault::SetKeepsTheOld) && self.found(key).is_some()) {
            self.put(key, &value, ttl);
        }
        Ok(())
    }

    async fn swap(&self, key: &str, token: Token, value: Bytes, ttl: Duration) -> Result<Swap, TierError> {
        check_len(&value)?;
        let found = self.found(key);
        if self.is(CacheFault::SwapIsNotAtomic) {
            tokio::task::yield_now().await;
        }
        match found {
            None if !self.is(CacheFault::SwapCreates) => return Ok(Swap::Missing),
            Some(found) if found.token != token && !self.is(CacheFault::SwapIgnoresTheToken) => {
                return Ok(Swap::Changed);
            }
            _ => {}
        }
        let old = self
            .entries
            .lock()
            .unwrap()
            .get(&self.key(key))
            .map(|(_, _, deadline)| *deadline);
        self.put(key, &value, ttl);
        if let (true, Some(old)) = (self.is(CacheFault::SwapKeepsTheTtl), old) {
            self.entries.lock().unwrap().get_mut(key).unwrap().2 = old;
        }
        Ok(Swap::Done)
    }

    async fn remove(&self, key: &str, token: Token) -> Result<Swap, TierError> {
        match self.found(key) {
            None => return Ok(Swap::Missing),
            Some(found) if found.token != token && !self.is(CacheFault::RemoveIgnoresTheToken) => {
                return Ok(Swap::Changed);
            }
            Some(_) => {}
        }
        self.entries.lock().unwrap().remove(&self.key(key));
        Ok(Swap::Done)
    }
}

async fn check_cache(fault: CacheFault) -> Result<(), Violation> {
    let clock = ManualClock::default();
    let tier = Arc::new(BrokenCache {
        fault,
        entries: Mutex::default(),
        tokens: AtomicU64::new(0),
        clock: clock.clone(),
        unread: Mutex::default(),
    });
    let options = Options::new().with_passing_time(move |by| clock.advance(by));
    conformance::cache_tier(&tier, &options).await
}

#[tokio::test]
async fn every_fault_of_a_cache_is_detected_by_its_rule() {
    use CacheFault as Fault;
    check_cache(Fault::None).await.unwrap();
    for (fault, rule) in [
        (Fault::AddOverwrites, "`add` stores its value only where there is none"),
        (Fault::SetKeepsTheOld, "`set` replaces any value"),
        (
            Fault::TokenFromContent,
            "every write gives the value a new token, even if the value is equal to the old one",
        ),
        (
            Fault::SwapIgnoresTheToken,
            "every write gives the value a new token, even if the value is equal to the old one",
        ),
        (
            Fault::SwapCreates,
            "a key that was never written has no value, and `swap` and `remove` answer `Missing`",
        ),
        (
            Fault::RemoveIgnoresTheToken,
            "`remove` deletes only the value with its token",
        ),
        (
            Fault::SwapIsNotAtomic,
            "of concurrent `swap` calls with one token, exactly one succeeds",
        ),
        (
            Fault::AddIsNotAtomic,
            "of concurrent `add` calls, exactly one stores its value",
        ),
        (Fault::CutsAtNul, "a value is read back byte for byte"),
        (Fault::FoldsCase, "similar keys have separate values"),
        (Fault::CutsLongKeys, "similar keys have separate values"),
        (
            Fault::TruncatesLargeValues,
            "a value of any size up to the limit is read back whole",
        ),
        (
            Fault::SilentlyDropsTooLarge,
            "a value over the limit is rejected as too large and changes nothing",
        ),
        (
            Fault::NeverExpires,
            "a value expires when its TTL has passed, and not before",
        ),
        (
            Fault::SwapKeepsTheTtl,
            "a value expires when its TTL has passed, and not before",
        ),
        (
            Fault::AddSeesTheExpired,
            "`add`, `swap` and `remove` treat an expired value as absent",
        ),
        (
            Fault::ReturnsTheReplyToADroppedCall,
            "a cancelled call does not affect the calls after it",
        ),
    ] {
        let violation = check_cache(fault)
            .await
            .expect_err(&format!("{fault:?} was not detected"));
        assert_eq!(violation.rule(), rule, "{fault:?}: {violation}");
    }
}
