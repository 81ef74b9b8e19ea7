//! What is below redb: the file, and whether its pages are on the disk.
//!
//! When a page cannot be written to the disk, `fsync` fails once; the page is then taken for written (on Linux: fsync(2),
//! `EIO`). Reads go on returning it, and the next `fsync` succeeds without it. redb cannot tell, so after a sync that failed
//! nothing is read before every page was written again and synced.

use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::{BackendError, StorageBackend};

/// How much is read and written at a time, in bytes.
const CHUNK_LEN: u64 = 1 << 20;

/// The storage that redb gets: notes a sync that failed.
#[derive(Debug)]
pub(super) struct Backend {
    storage: Box<dyn StorageBackend>,
    is_unsynced: Arc<AtomicBool>,
}

/// What the first bytes of the storage say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    Empty,
    Foreign,
    Redb {
        /// Whether it was not closed, or closed after an I/O error: redb says so from the first commit on, and takes it
        /// back when it closes the file, after a sync that succeeded.
        is_unclean: bool,
    },
}

/// redb's magic number: nine bytes at the start of every file of its own (its `docs/design.md`, "Super-header").
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";
/// The flag `recovery_required` in the byte after it, the "god byte" (the same).
const RECOVERY_REQUIRED: u8 = 2;

impl Backend {
    /// Sets `is_unsynced` when a sync fails.
    pub(super) fn new(storage: Box<dyn StorageBackend>, is_unsynced: Arc<AtomicBool>) -> Self {
        Self { storage, is_unsynced }
    }

    pub(super) fn header(&self) -> io::Result<Header> {
        let mut start = [0; MAGIC.len() + 1];
        match self.storage.len()? {
            0 => return Ok(Header::Empty),
            len if len < start.len() as u64 => return Ok(Header::Foreign),
            _ => self.storage.read(0, &mut start)?,
        }
        let [magic @ .., flags] = start;
        Ok(if magic == MAGIC {
            let is_unclean = flags & RECOVERY_REQUIRED != 0;
            Header::Redb { is_unclean }
        } else {
            Header::Foreign
        })
    }

    /// Writes every page again, and syncs. What a read returns afterwards is on the disk.
    ///
    /// Pages that the system has dropped from its memory since are read as they were before the write that was lost;
    /// redb's check when it opens the file finds them by their checksums.
    ///
    /// Returns false, and writes nothing, where another process has the file open.
    pub(super) fn write_again(&self) -> io::Result<bool> {
        let is_locked = match self.storage.try_lock_range(Bound::Unbounded, Bound::Unbounded) {
            Ok(false) => return Ok(false),
            Ok(true) => true,
            // redb opens a file without a lock too, where there are none.
            Err(BackendError::Unsupported) => false,
            Err(error) => return Err(error.into()),
        };
        let written = self.write_pages_again();
        if is_locked {
            let unlocked = self.storage.unlock_range(Bound::Unbounded, Bound::Unbounded);
            written.and(unlocked.map_err(io::Error::from))?;
        } else {
            written?;
        }
        self.is_unsynced.store(false, Ordering::SeqCst);
        Ok(true)
    }

    fn write_pages_again(&self) -> io::Result<()> {
        let len = self.storage.len()?;
        let mut chunk = Vec::new();
        let mut at = 0;
        while at < len {
            let size = CHUNK_LEN.min(len - at);
            chunk.resize(usize::try_from(size).map_err(io::Error::other)?, 0);
            self.storage.read(at, &mut chunk)?;
            self.storage.write(at, &chunk)?;
            at += size;
        }
        self.storage.sync_data()
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.storage.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.storage.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.storage.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let synced = self.storage.sync_data();
        if synced.is_err() {
            self.is_unsynced.store(true, Ordering::SeqCst);
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.storage.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.storage.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.storage.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.storage.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.storage.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.storage.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.storage.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.storage.query_lock_range(start, end)
    }
}
