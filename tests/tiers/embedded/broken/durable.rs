//! Durable tiers with one fault each.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use session_runtime::conformance::{self, Options, Violation};
use session_runtime::tier::{DurableTier, Scope, Stored, TierError, TierErrorKind, Version, Write};

use super::{LIMIT, check_len};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DurableFault {
    None,
    InsertReplaces,
    UpdateIgnoresTheBase,
    UpdateInserts,
    DeleteIgnoresTheBase,
    DeleteKeepsTheRecord,
    SameContentSameVersion,
    VersionsRestart,
    WriteReturnsTheOldVersion,
    UpdateIsNotAtomic,
    InsertIsNotAtomic,
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
    /// The records that a lagging replica returns.
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
            None if self.is(DurableFault::VersionsRestart) => Version(1),
            Some(old) if self.is(DurableFault::VersionsRestart) => Version(old.1.0 + 1),
            Some(old) if self.is(DurableFault::SameContentSameVersion) && old.0 == value => old.1,
            _ => Version(self.versions.fetch_add(1, Ordering::SeqCst) + 1),
        };
        let first = old.map_or(expires_at, |old| old.3);
        records.insert(key.to_owned(), (value, version, expires_at, first));
        match old_version {
            Some(old) if self.is(DurableFault::WriteReturnsTheOldVersion) => Write::Done(old),
            _ => Write::Done(version),
        }
    }
}

impl DurableTier for BrokenFile {
    fn name(&self) -> &'static str {
        "broken-file"
    }

    fn scope(&self) -> Scope {
        Scope::Process
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
        check_len(&value)?;
        let is_free = self.found(key).is_none();
        if self.is(DurableFault::InsertIsNotAtomic) {
            tokio::task::yield_now().await;
        }
        if !is_free && !self.is(DurableFault::InsertReplaces) {
            return Ok(Write::Conflict);
        }
        Ok(self.put(key, value, expires_at))
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        check_len(&value)?;
        let found = self.found(key);
        if self.is(DurableFault::UpdateIsNotAtomic) {
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
        if !self.is(DurableFault::DeleteKeepsTheRecord) {
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
async fn every_fault_of_a_durable_tier_is_detected_by_its_rule() {
    use DurableFault as Fault;
    check_durable(Fault::None).await.unwrap();
    for (fault, rule) in [
        (
            Fault::InsertReplaces,
            "`insert` creates a record, and never replaces one",
        ),
        (
            Fault::UpdateIgnoresTheBase,
            "`update` replaces only the version that it is based on",
        ),
        (Fault::UpdateInserts, "`update` never creates a record"),
        (
            Fault::DeleteIgnoresTheBase,
            "`delete` removes only the version that it is based on",
        ),
        (
            Fault::DeleteKeepsTheRecord,
            "`delete` removes only the version that it is based on",
        ),
        (
            Fault::VersionsRestart,
            "a late `update` does not restore a deleted record",
        ),
        (
            Fault::WriteReturnsTheOldVersion,
            "`update` replaces only the version that it is based on",
        ),
        (
            Fault::UpdateIsNotAtomic,
            "of concurrent `update` calls on one version, exactly one succeeds",
        ),
        (
            Fault::InsertIsNotAtomic,
            "of concurrent `insert` calls, exactly one creates the record",
        ),
        (
            Fault::HidesTheExpired,
            "an expired record is either readable or deleted, never hidden",
        ),
        (Fault::PurgesAll, "`purge_expired` deletes expired records only"),
        (
            Fault::PurgesByTheFirstExpiry,
            "`purge_expired` deletes expired records only",
        ),
        (
            Fault::PurgesByTheWallClock,
            "`purge_expired` deletes expired records only",
        ),
        (
            Fault::PurgesWithoutLimit,
            "`purge_expired` deletes no more records than its limit",
        ),
        (
            Fault::TooLargeIsRefused,
            "a value over the limit is rejected as too large and changes nothing",
        ),
    ] {
        let violation = check_durable(fault)
            .await
            .expect_err(&format!("{fault:?} was not detected"));
        assert_eq!(violation.rule(), rule, "{fault:?}: {violation}");
    }
    // Allowed, as Google Cloud Datastore does it.
    check_durable(Fault::SameContentSameVersion).await.unwrap();
    // A stale read is detected by whichever rule reads first.
    check_durable(Fault::ReadsLag)
        .await
        .expect_err("a stale read was not detected");
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_never_answers_is_detected() {
    let violation = check_durable(DurableFault::Hangs).await.unwrap_err();
    assert_eq!(violation.expected(), "every call to end within a bounded time");
    assert_eq!(
        violation.to_string(),
        "broken-file breaks the rule \"a key that was never written has no record, and `delete` answers `Missing`\": \
         expected every call to end within a bounded time, but the rule did not end within 60s"
    );
}
