//! What can go wrong with the file: when it is opened, and later.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use crate::tier::{TierError, TierErrorKind};

/// What the tier is called.
pub(super) const NAME: &str = "local-file";

type Cause = Box<dyn Error + Send + Sync>;

/// Why a file could not be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another `LocalFile` of this one, has it open.
    #[error(
        "{} is open already: one process at a time may use it. Stop the other one, give this one a file of its own, \
         or use a distributed tier",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// There is no directory to put it into.
    #[error("there is no directory for {}: create it first, writable by this process", path.display())]
    NoDirectory {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// This process may not read and write it.
    #[error("this process may not read and write {}: change its owner or mode, or name another file", path.display())]
    NotAllowed {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else, and still does.
    #[error("{} is no session store: name another file, or move this one away", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What was found instead, where the storage layer told.
        source: Option<Cause>,
    },
    /// A version of this crate wrote it that this one does not understand.
    #[error("{} was written by another version of this crate (format {format}): use that version", path.display())]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// The format it is in.
        format: u64,
    },
    /// It is a session store, but damaged.
    #[error(
        "{} is damaged: put a copy back, or move it away to begin anew, without the sessions in it",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Cause,
    },
    /// Anything else the system would not do, such as on a full disk.
    #[error("cannot open {}: see the cause, then try again", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl OpenError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NoDirectory { path, source },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::NotAllowed { path, source },
            _ => Self::Io { path, source },
        }
    }

    pub(super) fn storage(path: &Path, error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
                Self::InUse { path: path.to_owned() }
            }
            redb::Error::Io(source) => Self::io(path, source),
            other => Self::Damaged {
                path: path.to_owned(),
                source: other.into(),
            },
        }
    }
}

/// Why the file could not be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the file is closed after an I/O error, and could not be opened again yet")]
    Closed,
    #[error("writes are refused for a moment after the disk refused one")]
    Resting,
    #[error(transparent)]
    Storage(#[from] redb::Error),
    #[error("the storage layer panicked")]
    Panicked,
}

/// An error of this tier while `doing` something.
pub(super) fn tier_error(doing: &'static str, kind: TierErrorKind) -> TierError {
    TierError::new(NAME, doing, kind)
}
