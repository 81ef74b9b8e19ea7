//! Opening the file, and opening it again after an I/O error.

use std::fs::{File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, StorageError};

use super::error::{Fault, OpenError};
use super::table::{self, Contents};
use crate::tier::Stored;

/// What is kept of the file in memory, in bytes.
const PAGE_CACHE: usize = 64 << 20;

/// Whether a missing file may be created. After an I/O error it may not: an empty store in place of a lost one would
/// be an authority that has forgotten everything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Create,
    Existing,
}

/// The open file, or the want of one.
pub(super) struct Store {
    path: PathBuf,
    /// Locked for writing only to put another database in its place, never during I/O. A lock that was poisoned holds
    /// a whole value all the same: it is only ever assigned.
    database: RwLock<Option<Database>>,
}

impl Store {
    pub(super) fn open(path: &Path, access: Access) -> Result<Self, OpenError> {
        Ok(Self {
            path: path.to_owned(),
            database: RwLock::new(Some(open(path, access)?)),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn with<T>(&self, f: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, Fault> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or(Fault::Closed)?;
        // Whatever is damaged while the file is open must not take the writer's thread with it.
        match catch_unwind(AssertUnwindSafe(|| f(database))) {
            Ok(result) => Ok(result?),
            Err(_) => Err(Fault::Panicked),
        }
    }

    pub(super) fn read(&self, key: &str) -> Result<Option<Stored>, Fault> {
        self.with(|database| table::read(database, key))
    }

    /// Whether the file can be used: after an I/O error redb refuses every call until it is opened again.
    pub(super) fn is_fit(&self) -> bool {
        let tried = self.with(|database| {
            table::counter(database)?;
            database.begin_write()?.abort()?;
            Ok(())
        });
        tried.is_ok()
    }

    pub(super) fn close(&self) {
        let old = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(old);
    }

    /// Closes the file and opens it again; readers meanwhile are told that it is closed.
    pub(super) fn reopen(&self) -> Result<(), OpenError> {
        self.close();
        let new = open(&self.path, Access::Existing)?;
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(new);
        Ok(())
    }
}

fn open(path: &Path, access: Access) -> Result<Database, OpenError> {
    let file = open_file(path, access).map_err(|source| OpenError::io(path, source))?;
    let (is_empty, is_redb) = begins_as_redb(&file).map_err(|source| OpenError::io(path, source))?;
    let may_be_made = is_empty && access == Access::Create;
    if !is_redb && !may_be_made {
        return Err(OpenError::NotAStore {
            path: path.to_owned(),
            source: None,
        });
    }
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = open_database(file)?;
        let contents = table::prepare(&database)?;
        Ok((database, contents))
    }));
    let (database, contents) = match opened {
        Ok(opened) => opened.map_err(|error| OpenError::storage(path, error))?,
        Err(_) => {
            return Err(OpenError::Damaged {
                path: path.to_owned(),
                source: "the storage layer panicked on it".into(),
            });
        }
    };
    if access == Access::Create {
        // The file's name must be on the disk before anything in the file is acknowledged. Whoever made the file may
        // have crashed before this, so it is done even where the file was there.
        sync_directory(path).map_err(|source| OpenError::io(path, source))?;
    }
    match contents {
        Contents::Ours => Ok(database),
        Contents::Foreign => Err(OpenError::NotAStore {
            path: path.to_owned(),
            source: Some("a redb database of another program".into()),
        }),
        Contents::OtherFormat(format) => Err(OpenError::OtherFormat {
            path: path.to_owned(),
            format,
        }),
    }
}

fn open_database(file: File) -> Result<Database, redb::Error> {
    let backend = FileBackend::new(file).map_err(redb::Error::from)?;
    let opened = Database::builder()
        .set_cache_size(PAGE_CACHE)
        .set_check_integrity_on_open(true)
        .create_with_backend(backend);
    opened.map_err(|error| match error {
        // The magic number is right, so what cannot be read is no accident of the disk.
        DatabaseError::Storage(StorageError::Io(source)) if source.kind() == io::ErrorKind::UnexpectedEof => {
            redb::Error::Corrupted(source.to_string())
        }
        other => other.into(),
    })
}

fn open_file(path: &Path, access: Access) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(access == Access::Create);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// redb's magic number: nine bytes at the start of every file of its own (its `docs/design.md`, "Super-header").
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";

/// Whether the file is empty, and whether it begins as redb's files do.
fn begins_as_redb(mut file: &File) -> io::Result<(bool, bool)> {
    use io::{Read, Seek};
    let mut start = Vec::with_capacity(MAGIC.len());
    file.take(MAGIC.len() as u64).read_to_end(&mut start)?;
    file.rewind()?;
    Ok((start.is_empty(), start == MAGIC))
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Elsewhere a directory cannot be opened to be synced, and the file system keeps names by itself.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}
