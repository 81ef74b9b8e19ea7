//! The suite must be able to fail: tiers with one fault each, and the rule that finds it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::clock::{Clock, ManualClock};
use session_runtime::conformance::{self, Options, Violation};
use session_runtime::tier::{
    CacheTier, Cached, DurableTier, Stored, Swap, TierError, TierErrorKind, Token, Version, Write,
};

const LIMIT: usize = 100_000;

fn too_large(value: &Bytes) -> Result<(), TierError> {
    let (size, limit) = (value.len(), LIMIT);
    if size > limit {
        return Err(TierError::new(
            "broken",
            "write",
            TierErrorKind::TooLarge { size, limit },
        ));
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum CacheFault {
    None,
    AddOverwrites,
    SetKeepsTheOld,
    TokenFromContent,
    SwapIgnoresTheToken,
    SwapCreates,
    RemoveIgnoresTheToken,
    SwapLooksThenPuts,
    AddLooksThenPuts,
    CutsAtNul,
    FoldsCase,
    CutsLongKeys,
    TruncatesLargeValues,
    SilentlyDropsTooLarge,
    NeverExpires,
    SwapKeepsTheTtl,
    AddSeesTheExpired,
    AnswersTheLastQuestion,
}

struct BrokenCache {
    fault: CacheFault,
    entries: Mutex<BTreeMap<String, (Bytes, Token, SystemTime)>>,
    tokens: AtomicU64,
    clock: ManualClock,
    /// The answer that a dropped call left on the connection.
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
        let in_date = self.clock.now() < deadline || self.is(CacheFault::NeverExpires);
        in_date.then_some(Cached { value, token })
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

    fn max_value_len(&self) -> usize {
        LIMIT
    }

    async fn get(&self, key: &str) -> Result<Option<Cached>, TierError> {
        let found = self.found(key);
        if self.is(CacheFault::AnswersTheLastQuestion) {
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
        too_large(&value)?;
        let lies = self.entries.lock().unwrap().contains_key(&self.key(key));
        let is_free = if self.is(CacheFault::AddSeesTheExpired) {
            !lies
        } else {
            self.found(key).is_none()
        };
        if self.is(CacheFault::AddLooksThenPuts) {
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
        too_large(&value)?;
        if !(self.is(CacheFault::SetKeepsTheOld) && self.found(key).is_some()) {
            self.put(key, &value, ttl);
        }
        Ok(())
    }

    async fn swap(&self, key: &str, token: Token, value: Bytes, ttl: Duration) -> Result<Swap, TierError> {
        too_large(&value)?;
        let found = self.found(key);
        if self.is(CacheFault::SwapLooksThenPuts) {
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
async fn every_fault_of_a_cache_is_found_by_its_rule() {
    use CacheFault as Fault;
    check_cache(Fault::None).await.unwrap();
    for (fault, rule) in [
        (Fault::AddOverwrites, "add stores only where nothing lies"),
        (Fault::SetKeepsTheOld, "set stores over whatever lies there"),
        (
            Fault::TokenFromContent,
            "a token changes with every stored value, even for equal ones",
        ),
        (
            Fault::SwapIgnoresTheToken,
            "a token changes with every stored value, even for equal ones",
        ),
        (Fault::SwapCreates, "a key under which nothing lies has no value"),
        (
            Fault::RemoveIgnoresTheToken,
            "remove takes exactly the value that its token names",
        ),
        (
            Fault::SwapLooksThenPuts,
            "of swaps that race for one token, exactly one is done",
        ),
        (Fault::AddLooksThenPuts, "of adds that race, exactly one stores"),
        (Fault::CutsAtNul, "values come back byte for byte"),
        (Fault::FoldsCase, "keys do not touch one another"),
        (Fault::CutsLongKeys, "keys do not touch one another"),
        (Fault::TruncatesLargeValues, "values come back whole at every size"),
        (
            Fault::SilentlyDropsTooLarge,
            "a value over the limit is refused as too large and changes nothing",
        ),
        (
            Fault::NeverExpires,
            "a value is gone once its ttl has passed, and not before",
        ),
        (
            Fault::SwapKeepsTheTtl,
            "a value is gone once its ttl has passed, and not before",
        ),
        (
            Fault::AddSeesTheExpired,
            "where a value has outlived its ttl, nothing lies",
        ),
        (
            Fault::AnswersTheLastQuestion,
            "a dropped call leaves the tier fit for the next one",
        ),
    ] {
        let violation = check_cache(fault)
            .await
            .expect_err(&format!("{fault:?} went unnoticed"));
        assert_eq!(violation.rule(), rule, "{fault:?}: {violation}");
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DurableFault {
    None,
    InsertReplaces,
    UpdateIgnoresTheBase,
    UpdateInserts,
    DeleteIgnoresTheBase,
    DeleteLeavesAGhost,
    SameContentSameVersion,
    VersionsBeginAgain,
    WriteTellsTheOldVersion,
    UpdateLooksThenPuts,
    InsertLooksThenPuts,
    ReadsLag,
    HidesTheExpired,
    PurgesAll,
    PurgesByTheFirstExpiry,
    PurgesByTheWallClock,
    PurgesWithoutLimit,
    TooLargeIsRefused,
    Hangs,
}

type Record = (Bytes, Version, SystemTime, SystemTime);

struct BrokenFile {
    fault: DurableFault,
    records: Mutex<BTreeMap<String, Record>>,
    /// What a replica that lags behind shows.
    before: Mutex<BTreeMap<String, Record>>,
    versions: AtomicU64,
}

impl BrokenFile {
    fn is(&self, fault: DurableFault) -> bool {
        self.fault == fault
    }

    fn found(&self, key: &str) -> Option<Record> {
        self.records.lock().unwrap().get(key).cloned()
    }

    fn put(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Write {
        let mut records = self.records.lock().unwrap();
        *self.before.lock().unwrap() = records.clone();
        let old = records.get(key);
        let old_version = old.map(|old| old.1);
        let version = match old {
            None if self.is(DurableFault::VersionsBeginAgain) => Version(1),
            Some(old) if self.is(DurableFault::VersionsBeginAgain) => Version(old.1.0 + 1),
            Some(old) if self.is(DurableFault::SameContentSameVersion) && old.0 == value => old.1,
            _ => Version(self.versions.fetch_add(1, Ordering::SeqCst) + 1),
        };
        let first = old.map_or(expires_at, |old| old.3);
        records.insert(key.to_owned(), (value, version, expires_at, first));
        match old_version {
            Some(old) if self.is(DurableFault::WriteTellsTheOldVersion) => Write::Done(old),
            _ => Write::Done(version),
        }
    }
}

impl DurableTier for BrokenFile {
    fn name(&self) -> &'static str {
        "broken-file"
    }

    fn max_value_len(&self) -> usize {
        LIMIT
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        if self.is(DurableFault::Hangs) {
            std::future::pending::<()>().await;
        }
        let found = if self.is(DurableFault::ReadsLag) && self.versions.load(Ordering::SeqCst).is_multiple_of(97) {
            self.before.lock().unwrap().get(key).cloned()
        } else {
            self.found(key)
        };
        let hidden = |at: &SystemTime| self.is(DurableFault::HidesTheExpired) && *at < SystemTime::now();
        Ok(found
            .filter(|(_, _, at, _)| !hidden(at))
            .map(|(value, version, ..)| Stored { value, version }))
    }

    async fn insert(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        if self.is(DurableFault::TooLargeIsRefused) && value.len() > LIMIT {
            return Err(TierError::new("broken", "insert", TierErrorKind::Refused));
        }
        too_large(&value)?;
        let is_free = self.found(key).is_none();
        if self.is(DurableFault::InsertLooksThenPuts) {
            tokio::task::yield_now().await;
        }
        if !is_free && !self.is(DurableFault::InsertReplaces) {
            return Ok(Write::Conflict);
        }
        Ok(self.put(key, value, expires_at))
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        too_large(&value)?;
        let found = self.found(key);
        if self.is(DurableFault::UpdateLooksThenPuts) {
            tokio::task::yield_now().await;
        }
        match found {
            None if !self.is(DurableFault::UpdateInserts) => return Ok(Write::Missing),
            Some(found) if found.1 != base && !self.is(DurableFault::UpdateIgnoresTheBase) => {
                return Ok(Write::Conflict);
            }
            _ => {}
        }
        Ok(self.put(key, value, expires_at))
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        match self.found(key) {
            None => return Ok(Write::Missing),
            Some(found) if found.1 != base && !self.is(DurableFault::DeleteIgnoresTheBase) => {
                return Ok(Write::Conflict);
            }
            Some(_) => {}
        }
        if !self.is(DurableFault::DeleteLeavesAGhost) {
            self.records.lock().unwrap().remove(key);
        }
        Ok(Write::Done(base))
    }

    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        let limit = if self.is(DurableFault::PurgesWithoutLimit) {
            usize::MAX
        } else {
            limit
        };
        let mut records = self.records.lock().unwrap();
        let now = if self.is(DurableFault::PurgesByTheWallClock) {
            SystemTime::now()
        } else {
            now
        };
        let expired: Vec<String> = records
            .iter()
            .filter(|(_, (_, _, at, first))| match self.fault {
                DurableFault::PurgesAll => true,
                DurableFault::PurgesByTheFirstExpiry => *first < now,
                _ => *at < now,
            })
            .map(|(key, _)| key.clone())
            .take(limit)
            .collect();
        for key in &expired {
            records.remove(key);
        }
        Ok(expired.len().min(100))
    }
}

async fn check_durable(fault: DurableFault) -> Result<(), Violation> {
    let tier = Arc::new(BrokenFile {
        fault,
        records: Mutex::default(),
        before: Mutex::default(),
        versions: AtomicU64::new(0),
    });
    conformance::durable_tier(&tier, &Options::new()).await
}

#[tokio::test]
async fn every_fault_of_a_durable_tier_is_found_by_its_rule() {
    use DurableFault as Fault;
    check_durable(Fault::None).await.unwrap();
    for (fault, rule) in [
        (Fault::InsertReplaces, "insert creates, and never replaces"),
        (
            Fault::UpdateIgnoresTheBase,
            "update replaces exactly the version that it is based on",
        ),
        (Fault::UpdateInserts, "update never creates"),
        (
            Fault::DeleteIgnoresTheBase,
            "delete takes exactly the version that it is based on",
        ),
        (
            Fault::DeleteLeavesAGhost,
            "delete takes exactly the version that it is based on",
        ),
        (
            Fault::SameContentSameVersion,
            "every write gives a new version, even of identical content",
        ),
        (
            Fault::VersionsBeginAgain,
            "a late update cannot bring a deleted record back",
        ),
        (
            Fault::WriteTellsTheOldVersion,
            "update replaces exactly the version that it is based on",
        ),
        (
            Fault::UpdateLooksThenPuts,
            "of updates that race on one base, exactly one is done",
        ),
        (Fault::InsertLooksThenPuts, "of inserts that race, exactly one creates"),
        (
            Fault::HidesTheExpired,
            "a record past its expires_at still conflicts with an insert",
        ),
        (Fault::PurgesAll, "purging takes only what has expired"),
        (Fault::PurgesByTheFirstExpiry, "purging takes only what has expired"),
        (Fault::PurgesByTheWallClock, "purging takes only what has expired"),
        (Fault::PurgesWithoutLimit, "purging takes no more than its limit"),
        (
            Fault::TooLargeIsRefused,
            "a value over the limit is refused as too large and changes nothing",
        ),
    ] {
        let violation = check_durable(fault)
            .await
            .expect_err(&format!("{fault:?} went unnoticed"));
        assert_eq!(violation.rule(), rule, "{fault:?}: {violation}");
    }
    // A read that lags is found by whichever rule meets it first.
    check_durable(Fault::ReadsLag)
        .await
        .expect_err("a read that lags went unnoticed");
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_never_answers_is_found() {
    let violation = check_durable(DurableFault::Hangs).await.unwrap_err();
    assert_eq!(violation.expected(), "every call to end within a bounded time");
    assert_eq!(
        violation.to_string(),
        "broken-file breaks the rule \"a key without a record reads as none\": expected every call to end within a \
         bounded time, but nothing was heard for 60s"
    );
}
