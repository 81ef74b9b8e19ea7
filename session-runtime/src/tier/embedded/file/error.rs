//! The errors of the file: when it is opened, and later.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use crate::tier::{TierError, TierErrorKind};

/// The name of the tier.
pub(super) const NAME: &str = "local-file";

type Cause = Box<dyn Error + Send + Sync>;

/// Why a file could not be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalFileError {
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
    /// Its directory does not exist.
    #[error("there is no directory for {}: create it first, writable by this process", path.display())]
    NoDirectory {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// This process may not read and write it.
    #[error("this process may not read and write {}: change its owner or mode, or name another file", path.display())]
    NotAllowed {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file is something else. It was not changed.
    #[error("{} is not a session store: name another file, or move this one away", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What was found instead, if that is known.
        source: Option<Cause>,
    },
    /// It was written by another version of this crate, in a format that this one does not know.
    #[error("{} was written by another version of this crate (format {format}): use that version", path.display())]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// The version of its format.
        format: u64,
    },
    /// It is a damaged session store.
    #[error(
        "{} is damaged: restore a backup, or move it away to start with an empty store",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Cause,
    },
    /// Any other error of the operating system, such as a full disk.
    #[error("cannot open {}: see the cause, then try again", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl LocalFileError {
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

/// Why the open file could not be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error(
        "the file is closed after an I/O error, and could not be opened again yet: check the disk; the log has the error"
    )]
    Closed,
    #[error("writes are refused for a few seconds after a failed one: check the disk")]
    BackingOff,
    #[error(transparent)]
    Storage(#[from] redb::Error),
    #[error("the storage layer panicked")]
    Panicked,
}

/// An error of this tier in `operation`.
pub(super) fn tier_error(operation: &'static str, kind: TierErrorKind) -> TierError {
    TierError::new(NAME, operation, kind)
}
