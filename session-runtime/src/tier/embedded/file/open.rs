//! Opens the file, and reopens it after an I/O error.

use std::fs::{File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, StorageBackend, StorageError};

use super::backend::{Backend, Header};
use super::error::{LocalFileError, StoreError};
use super::table::{self, Contents};
use crate::tier::Stored;

/// The size of redb's page cache, in bytes: 64 MiB, far above what the sessions of one process take. redb's own default is
/// 1 GiB.
const PAGE_CACHE_LEN: usize = 64 << 20;

/// Whether a missing file may be created. After an I/O error it may not: an empty store in place of a lost one would lose
/// every session without an error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Create,
    Existing,
}

/// Opens what is below redb: the file, or in tests a disk that fails.
pub(super) type OpenStorage = Box<dyn Fn(Access) -> io::Result<Box<dyn StorageBackend>> + Send + Sync>;

/// The database, while it is open.
pub(super) struct Store {
    path: PathBuf,
    storage: OpenStorage,
    /// Whether a sync has failed, and the pages were not written again since.
    is_unsynced: Arc<AtomicBool>,
    /// Whether a call has failed since [`is_healthy`](Self::is_healthy) was asked last.
    has_failed: AtomicBool,
    /// Locked for writing only to replace the database, never during I/O. A poisoned lock is usable, since the value is only
    /// ever replaced as a whole.
    database: RwLock<Option<Database>>,
}

impl Store {
    pub(super) fn open(path: &Path, storage: OpenStorage) -> Result<Self, LocalFileError> {
        let store = Self {
            path: path.to_owned(),
            storage,
            is_unsynced: Arc::default(),
            has_failed: AtomicBool::new(false),
            database: RwLock::default(),
        };
        store.open_with(Access::Create)?;
        Ok(store)
    }

    fn open_with(&self, access: Access) -> Result<(), LocalFileError> {
        let storage = (self.storage)(access).map_err(|source| LocalFileError::io(&self.path, source))?;
        let backend = Backend::new(storage, Arc::clone(&self.is_unsynced));
        let new = open(&self.path, access, backend, self.is_unsynced.load(Ordering::SeqCst))?;
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(new);
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn with<T>(&self, f: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let result = self.call(f);
        if result.is_err() {
            self.has_failed.store(true, Ordering::SeqCst);
        }
        result
    }

    fn call<T>(&self, f: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or(StoreError::Closed)?;
        // A file that is damaged while it is open must not end the writer's thread by a panic of redb.
        match catch_unwind(AssertUnwindSafe(|| f(database))) {
            Ok(result) => Ok(result?),
            Err(_) => Err(StoreError::Panicked),
        }
    }

    pub(super) fn read(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        self.with(|database| table::read(database, key))
    }

    /// Whether the file can be used: after an I/O error redb rejects every call until it is reopened.
    pub(super) fn is_healthy(&self) -> bool {
        // To find out takes two transactions, which is not for every write.
        if !self.has_failed.swap(false, Ordering::SeqCst) {
            return true;
        }
        let result = self.with(|database| {
            table::counter(database)?;
            database.begin_write()?.abort()?;
            Ok(())
        });
        result.is_ok()
    }

    pub(super) fn close(&self) {
        let old = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(old);
    }

    /// Closes the file and opens it again; meanwhile reads fail, since it is closed. What is read afterwards is on the disk.
    pub(super) fn reopen(&self) -> Result<(), LocalFileError> {
        self.close();
        self.open_with(Access::Existing)
    }
}

fn open(path: &Path, access: Access, backend: Backend, is_unsynced: bool) -> Result<Database, LocalFileError> {
    let header = backend.header().map_err(|source| LocalFileError::io(path, source))?;
    // While it is in use it is unclean, and this process knows what it has synced; of another's last sync nothing is known.
    let was_left_unclean = match header {
        Header::Redb { is_unclean } => is_unclean && access == Access::Create,
        Header::Empty if access == Access::Create => false,
        Header::Empty | Header::Foreign => {
            return Err(LocalFileError::NotAStore {
                path: path.to_owned(),
                source: None,
            });
        }
    };
    if is_unsynced || was_left_unclean {
        let is_free = backend.write_again();
        if !is_free.map_err(|source| LocalFileError::io(path, source))? {
            return Err(LocalFileError::InUse { path: path.to_owned() });
        }
    }
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = open_database(backend)?;
        let contents = table::prepare(&database)?;
        Ok((database, contents))
    }));
    let (database, contents) = match opened {
        Ok(opened) => opened.map_err(|error| LocalFileError::storage(path, error))?,
        Err(_) => {
            return Err(LocalFileError::Damaged {
                path: path.to_owned(),
                source: "the storage layer panicked on it".into(),
            });
        }
    };
    match contents {
        Contents::SessionStore => Ok(database),
        Contents::Foreign => Err(LocalFileError::NotAStore {
            path: path.to_owned(),
            source: Some("a redb database of another program".into()),
        }),
        Contents::OtherFormat(format) => Err(LocalFileError::OtherFormat {
            path: path.to_owned(),
            format,
        }),
    }
}

fn open_database(backend: Backend) -> Result<Database, redb::Error> {
    let opened = Database::builder()
        .set_cache_size(PAGE_CACHE_LEN)
        .set_check_integrity_on_open(true)
        .create_with_backend(backend);
    opened.map_err(|error| match error {
        // The magic number was read, so the file is truncated rather than unreadable.
        DatabaseError::Storage(StorageError::Io(source)) if source.kind() == io::ErrorKind::UnexpectedEof => {
            redb::Error::Corrupted(source.to_string())
        }
        other => other.into(),
    })
}

/// Opens the file at `path`.
pub(super) fn open_file(path: &Path, access: Access) -> io::Result<Box<dyn StorageBackend>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(access == Access::Create);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    if access == Access::Create {
        // The file's name must be on the disk before any write to it is acknowledged. The process that created the file
        // may have crashed before this, so it is done for an existing file too.
        sync_directory(path)?;
    }
    Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// On other platforms a directory cannot be opened in order to sync it.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
