//! The durable file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::conformance::{self, Options};
use session_runtime::tier::embedded::{LocalFile, LocalFileError};
use session_runtime::tier::{DurableTier, Version, Write};
use tempfile::TempDir;

use super::crash::{later, version};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms() {
    let dir = TempDir::new().unwrap();
    let tier = Arc::new(LocalFile::open(dir.path().join("s.redb")).unwrap());
    conformance::durable_tier(&tier, &Options::new()).await.unwrap();
}

#[tokio::test]
async fn versions_grow_across_restarts_and_deletes() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s.redb");
    let mut last = Version(0);
    for round in 0..4 {
        let tier = LocalFile::open(&path).unwrap();
        assert_eq!(tier.read("k").await.unwrap(), None);
        let created = version(tier.insert("k", Bytes::from_static(b"same"), later()).await.unwrap());
        assert!(created > last, "round {round}: {created:?} after {last:?}");
        drop(tier);
        let tier = LocalFile::open(&path).unwrap();
        assert_eq!(tier.read("k").await.unwrap().unwrap().version, created);
        let deleted = version(tier.delete("k", created).await.unwrap());
        assert!(deleted >= created);
        last = deleted;
    }
}

#[tokio::test]
async fn a_second_handle_is_refused_until_the_first_is_dropped() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s.redb");
    let first = LocalFile::open(&path).unwrap();
    let clone = first.clone();
    let error = LocalFile::open(&path).unwrap_err();
    assert!(matches!(error, LocalFileError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("one process at a time"), "{error}");
    drop(first);
    assert!(
        matches!(LocalFile::open(&path), Err(LocalFileError::InUse { .. })),
        "a clone keeps it open"
    );
    drop(clone);
    LocalFile::open(&path).unwrap();
}

#[tokio::test]
async fn a_drop_ends_the_writer_after_queued_writes() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s.redb");
    let tier = LocalFile::open(&path).unwrap();
    let queued: Vec<_> = (0..50)
        .map(|n| {
            let tier = tier.clone();
            let key = format!("k{n}");
            Box::pin(async move { tier.insert(&key, Bytes::from_static(b"v"), later()).await })
        })
        .collect();
    // Each is polled once, which queues it, and dropped before the result.
    for mut insert in queued {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(insert.as_mut().poll(&mut context).is_pending());
    }
    drop(tier);
    let tier = LocalFile::open(&path).unwrap();
    for n in 0..50 {
        assert!(
            tier.read(&format!("k{n}")).await.unwrap().is_some(),
            "k{n} is not there"
        );
    }
}

#[tokio::test]
async fn purges_more_than_fits_into_one_transaction() {
    let dir = TempDir::new().unwrap();
    let tier = LocalFile::open(dir.path().join("s.redb")).unwrap();
    let at = |minutes| SystemTime::UNIX_EPOCH + Duration::from_mins(minutes);
    let mut inserts = tokio::task::JoinSet::new();
    for n in 0..600 {
        let tier = tier.clone();
        inserts.spawn(async move { tier.insert(&format!("k{n}"), Bytes::new(), at(1000 + n)).await });
    }
    for insert in inserts.join_all().await {
        version(insert.unwrap());
    }
    assert_eq!(
        tier.purge_expired(at(1000), 600).await.unwrap(),
        0,
        "an expiry at exactly this time has not passed"
    );
    assert_eq!(tier.purge_expired(at(1500), 400).await.unwrap(), 400);
    assert!(tier.read("k399").await.unwrap().is_none(), "the oldest go first");
    assert_eq!(tier.purge_expired(at(1500), 400).await.unwrap(), 100);
    assert!(tier.read("k500").await.unwrap().is_some());
}

#[tokio::test]
async fn a_record_is_purged_at_most_a_minute_after_its_expiry_and_never_before() {
    let dir = TempDir::new().unwrap();
    let tier = LocalFile::open(dir.path().join("s.redb")).unwrap();
    let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
    let inserted = version(tier.insert("k", Bytes::new(), at(60_500)).await.unwrap());
    assert_eq!(tier.purge_expired(at(60_500), 1).await.unwrap(), 0);
    assert_eq!(tier.purge_expired(at(120_000), 1).await.unwrap(), 0);
    version(tier.update("k", inserted, Bytes::new(), at(119_999)).await.unwrap());
    assert_eq!(tier.purge_expired(at(120_000), 1).await.unwrap(), 0);
    assert_eq!(tier.purge_expired(at(120_001), 1).await.unwrap(), 1);
}

#[tokio::test]
async fn a_changed_expiry_leaves_no_index_entry_that_counts_against_the_limit() {
    let dir = TempDir::new().unwrap();
    let tier = LocalFile::open(dir.path().join("s.redb")).unwrap();
    let at = |minutes| SystemTime::UNIX_EPOCH + Duration::from_mins(minutes);
    let mut moved = version(tier.insert("moved", Bytes::new(), at(1)).await.unwrap());
    for expires_at in [at(2), at(3), later()] {
        moved = version(tier.update("moved", moved, Bytes::new(), expires_at).await.unwrap());
    }
    let deleted = version(tier.insert("deleted", Bytes::new(), at(4)).await.unwrap());
    version(tier.delete("deleted", deleted).await.unwrap());
    version(tier.insert("expired", Bytes::new(), at(5)).await.unwrap());
    assert_eq!(tier.purge_expired(at(10), 1).await.unwrap(), 1);
    assert_eq!(tier.read("expired").await.unwrap(), None);
    assert_eq!(
        tier.read("moved").await.unwrap().map(|found| found.version),
        Some(moved)
    );
}

#[tokio::test]
async fn a_record_that_never_expires_is_never_purged() {
    let dir = TempDir::new().unwrap();
    let tier = LocalFile::open(dir.path().join("s.redb")).unwrap();
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(200_000_000_000);
    version(tier.insert("k", Bytes::new(), far).await.unwrap());
    assert_eq!(tier.purge_expired(far + Duration::from_secs(1), 10).await.unwrap(), 0);
    assert!(tier.read("k").await.unwrap().is_some());
}

#[test]
fn only_the_owner_can_read_the_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s.redb");
    let _tier = LocalFile::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_missing_directory_is_named() {
    let dir = TempDir::new().unwrap();
    let error = LocalFile::open(dir.path().join("none/s.redb")).unwrap_err();
    assert!(matches!(error, LocalFileError::NoDirectory { .. }), "{error:?}");
    assert!(error.to_string().contains("none/s.redb"), "{error}");
}

#[test]
fn another_kind_of_file_is_refused_and_not_changed() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("notes.txt");
    for text in [
        "x",
        "a letter to my mother, longer than any magic number",
        &"long ".repeat(10_000),
    ] {
        fs::write(&path, text).unwrap();
        let error = LocalFile::open(&path).unwrap_err();
        assert!(matches!(error, LocalFileError::NotAStore { .. }), "{error:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    assert!(LocalFile::open(dir.path()).is_err(), "a directory is not a file");
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_never_a_panic_or_a_wrong_value() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("s.redb");
    let tier = LocalFile::open(&path).unwrap();
    for n in 0..200_u32 {
        let value = Bytes::from(n.to_be_bytes().repeat(100));
        version(tier.insert(&format!("k{n}"), value, later()).await.unwrap());
    }
    drop(tier);
    let good = fs::read(&path).unwrap();
    let mut refused = 0;
    // Truncated files, and files that are damaged in one place each.
    let mut damaged: Vec<Vec<u8>> = [9, 100, 4096, good.len() / 2].map(|len| good[..len].to_vec()).into();
    damaged.extend((10..good.len()).step_by(good.len() / 60).map(|at| {
        let mut bytes = good.clone();
        bytes.iter_mut().skip(at).take(64).for_each(|byte| *byte ^= 0x5A);
        bytes
    }));
    for bytes in damaged {
        fs::write(&path, &bytes).unwrap();
        let tier = match LocalFile::open(&path) {
            Ok(tier) => tier,
            Err(error) => {
                assert!(
                    matches!(error, LocalFileError::Damaged { .. } | LocalFileError::NotAStore { .. }),
                    "{error:?}"
                );
                refused += 1;
                continue;
            }
        };
        for n in 0..200_u32 {
            let found = tier.read(&format!("k{n}")).await.unwrap().unwrap();
            assert_eq!(found.value, n.to_be_bytes().repeat(100));
        }
    }
    assert!(refused > 10, "only {refused} were refused");
}

#[tokio::test]
async fn a_conflict_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let tier = LocalFile::open(dir.path().join("s.redb")).unwrap();
    let first = version(tier.insert("k", Bytes::from_static(b"1"), later()).await.unwrap());
    let write = tier
        .update("k", Version(first.0 + 1), Bytes::from_static(b"2"), later())
        .await;
    assert_eq!(write.unwrap(), Write::Conflict);
    assert_eq!(tier.read("k").await.unwrap().unwrap().value, "1");
}
