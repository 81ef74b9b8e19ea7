//! A disk whose `fsync` fails, as Linux does it: the pages that could not be written are taken for written.

use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use redb::StorageBackend;

use super::{LocalFile, LocalFileError};
use crate::tier::{DurableTier, TierError, TierErrorKind, Write};

const PAGE: usize = 4096;

/// Clones are the same disk.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    /// What reads return.
    cache: Vec<u8>,
    /// What is left after a power cut.
    disk: Vec<u8>,
    dirty: BTreeSet<usize>,
    /// How many of the next syncs fail.
    failures: usize,
    /// Draws which pages the system drops from its memory when a sync fails; `None` where it keeps all.
    drops: Option<fastrand::Rng>,
    /// The next sync waits until the other end is dropped.
    hangs: Option<Receiver<()>>,
}

impl Disk {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail_syncs(&self, count: usize) {
        self.pages().failures = count;
    }

    /// The disk after a power cut at this moment.
    fn after_power_cut(&self) -> Self {
        let disk = self.pages().disk.clone();
        let cache = disk.clone();
        Self(Arc::new(Mutex::new(Pages {
            cache,
            disk,
            ..Pages::default()
        })))
    }

    fn drop_pages(&self, seed: u64) {
        self.pages().drops = Some(fastrand::Rng::with_seed(seed));
    }

    /// Makes the next sync hang until what is returned is dropped.
    fn hang(&self) -> mpsc::Sender<()> {
        let (hanging, hangs) = mpsc::channel();
        self.pages().hangs = Some(hangs);
        hanging
    }

    fn open(&self) -> Result<LocalFile, LocalFileError> {
        let disk = self.clone();
        LocalFile::open_storage(Path::new("test.redb"), Box::new(move |_| Ok(Box::new(disk.clone()))))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.pages().cache.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        let pages = self.pages();
        let found = pages.cache.get(at..at + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.pages().cache.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let hangs = self.pages().hangs.take();
        if let Some(hangs) = hangs {
            let _other_end_is_dropped = hangs.recv();
        }
        let mut guard = self.pages();
        let pages = &mut *guard;
        let dirty = std::mem::take(&mut pages.dirty);
        if let Some(left) = pages.failures.checked_sub(1) {
            pages.failures = left;
            if let Some(random) = &mut pages.drops {
                let dropped = pages.cache.chunks_mut(PAGE).zip(pages.disk.chunks(PAGE));
                for (cached, on_disk) in dropped.filter(|_| random.bool()) {
                    cached.copy_from_slice(on_disk);
                }
            }
            return Err(io::Error::other("the disk does not write"));
        }
        pages.disk.resize(pages.cache.len(), 0);
        for page in dirty {
            let range = page * PAGE..((page + 1) * PAGE).min(pages.cache.len());
            if let (Some(to), Some(from)) = (pages.disk.get_mut(range.clone()), pages.cache.get(range)) {
                to.copy_from_slice(from);
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        let mut pages = self.pages();
        let end = at + data.len();
        if pages.cache.len() < end {
            pages.cache.resize(end, 0);
        }
        pages.cache.get_mut(at..end).unwrap().copy_from_slice(data);
        pages.dirty.extend(at / PAGE..end.div_ceil(PAGE));
        Ok(())
    }
}

fn later() -> SystemTime {
    SystemTime::now() + Duration::from_hours(1)
}

fn value(key: &str) -> Bytes {
    Bytes::from(key.repeat(2_000))
}

async fn insert(tier: &LocalFile, key: &str) -> Result<Write, TierError> {
    tier.insert(key, value(key), later()).await
}

/// Writes once the tier has ended its pause after a failed write.
async fn insert_after_pause(tier: &LocalFile, key: &str) -> Result<Write, TierError> {
    loop {
        match insert(tier, key).await {
            Err(error)
                if error
                    .source()
                    .is_some_and(|cause| cause.to_string().contains("a few seconds")) =>
            {
                tokio::task::yield_now().await;
            }
            other => return other,
        }
    }
}

#[track_caller]
fn assert_done(write: Result<Write, TierError>) {
    let write = write.unwrap();
    assert!(matches!(write, Write::Done(_)), "{write:?}");
}

async fn assert_has(disk: &Disk, keys: &[&str]) {
    let tier = disk.open().unwrap();
    for key in keys {
        let found = tier.read(key).await.unwrap();
        assert_eq!(
            found.map(|found| found.value),
            Some(value(key)),
            "{key} was acknowledged"
        );
    }
}

/// The sync that fails is each of a commit's and of an opening's.
#[tokio::test]
async fn no_acknowledged_write_is_lost_by_a_power_cut_after_a_sync_failed() {
    for (failures, seed) in (1..4).flat_map(|failures| (0..4).map(move |seed| (failures, seed))) {
        let disk = Disk::default();
        if seed > 0 {
            disk.drop_pages(seed);
        }
        let tier = disk.open().unwrap();
        assert_done(insert(&tier, "before").await);
        let mut acknowledged = vec!["before"];
        disk.fail_syncs(failures);
        if insert(&tier, "during").await.is_ok() {
            acknowledged.push("during");
        }
        for key in ["after", "later", "last"] {
            // Some of them fail while the disk does.
            if insert_after_pause(&tier, key).await.is_ok() {
                acknowledged.push(key);
            }
            assert_has(&disk.after_power_cut(), &acknowledged).await;
        }
        assert!(
            acknowledged.contains(&"last"),
            "{failures} failures, seed {seed}: it never recovered"
        );
        // What is read is as durable as what is acknowledged: a writer of unknown outcome looks for its commit there.
        if tier.read("during").await.unwrap().is_some() {
            acknowledged.push("during");
        }
        assert_has(&disk.after_power_cut(), &acknowledged).await;
        drop(tier);
        assert_has(&disk.after_power_cut(), &acknowledged).await;
    }
}

#[tokio::test]
async fn while_syncs_fail_nothing_is_acknowledged_or_read_and_the_error_says_what_to_do() {
    let disk = Disk::default();
    let tier = disk.open().unwrap();
    assert_done(insert(&tier, "before").await);
    disk.fail_syncs(usize::MAX);
    let error = insert(&tier, "during").await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unknown, "{error:?}");
    for key in ["before", "during"] {
        let error = tier.read(key).await.unwrap_err();
        assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}");
    }
    let error = insert_after_pause(&tier, "after").await.unwrap_err();
    assert_eq!(error.kind(), TierErrorKind::Unavailable, "{error:?}");
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("check the disk"), "{cause}");
    disk.fail_syncs(0);
    assert_done(insert_after_pause(&tier, "after").await);
    assert_has(&disk.after_power_cut(), &["before", "after"]).await;
}

#[tokio::test]
async fn what_a_process_left_unsynced_is_written_again_by_the_next() {
    for failures in 0..6 {
        let disk = Disk::default();
        let tier = disk.open().unwrap();
        assert_done(insert(&tier, "before").await);
        disk.fail_syncs(usize::MAX);
        insert(&tier, "during").await.unwrap_err();
        drop(tier);
        // The next processes fail to start, for as long as the disk fails.
        disk.fail_syncs(failures);
        let tier = (0..=failures)
            .find_map(|_| disk.open().ok())
            .expect("the disk works again");
        let during = tier.read("during").await.unwrap();
        assert_done(insert(&tier, "after").await);
        let disk = disk.after_power_cut();
        assert_has(&disk, &["before", "after"]).await;
        if during.is_some() {
            assert_has(&disk, &["during"]).await;
        }
    }
}

#[tokio::test]
async fn a_write_that_is_given_up_in_the_queue_was_not_applied_and_one_that_hangs_is_unknown() {
    let disk = Disk::default();
    let tier = disk.open().unwrap();
    assert_done(insert(&tier, "before").await);
    let hanging = disk.hang();
    let first = {
        let tier = tier.clone();
        tokio::spawn(async move { insert(&tier, "hangs").await })
    };
    while disk.pages().hangs.is_some() {
        tokio::task::yield_now().await;
    }
    // Time passes at once while every task waits for the disk.
    tokio::time::pause();
    let queued = insert(&tier, "queued").await.unwrap_err();
    assert_eq!(queued.kind(), TierErrorKind::Unavailable, "{queued:?}");
    let first = first.await.unwrap().unwrap_err();
    assert_eq!(first.kind(), TierErrorKind::Unknown, "{first:?}");
    tokio::time::resume();
    drop(hanging);
    assert_done(insert(&tier, "after").await);
    assert_has(&disk.after_power_cut(), &["before", "hangs", "after"]).await;
    assert_eq!(tier.read("queued").await.unwrap(), None);
}

#[tokio::test]
async fn a_fence_over_a_file_lasts_seconds() {
    let tier = Disk::default().open().unwrap();
    assert!(
        tier.max_write_delay() <= Duration::from_secs(10),
        "{:?}",
        tier.max_write_delay()
    );
}
