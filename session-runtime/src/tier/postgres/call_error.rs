//! What is known about a call that failed: the table in the README of this module, as code.

use std::error::Error;
use std::{fmt, io};

use deadpool_postgres::PoolError;
use tokio_postgres::error::{Severity, SqlState};

use crate::tier::{TierError, TierErrorKind};

/// The name of the tier.
pub(super) const NAME: &str = "postgres";

/// A call that failed, and whether its statement was applied.
#[derive(Debug)]
pub(super) struct CallError {
    pub(super) status: Status,
    /// Whether the connection must not be used again: an answer is still to come on it, or it leads to the wrong
    /// server.
    pub(super) breaks_connection: bool,
    /// Whether a new connection may do better.
    is_connection_stale: bool,
    is_read_only: bool,
    source: Box<dyn Error + Send + Sync>,
}

/// Whether the statement of a failed call was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Not applied: it was not sent, or the server rolled it back. A retry may succeed.
    NotApplied,
    /// Not applied, and a retry will not succeed.
    Refused,
    /// Sent, and not answered to the end: it may have been applied, or may yet be.
    Unknown,
}

impl CallError {
    /// Nothing of a statement was sent but its text.
    pub(super) fn not_sent(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Status::NotApplied, source)
    }

    /// Sent, and not answered.
    pub(super) fn not_answered(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Status::Unknown, source)
    }

    fn new(status: Status, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            status,
            breaks_connection: true,
            is_connection_stale: false,
            is_read_only: false,
            source: source.into(),
        }
    }

    /// No connection could be made.
    pub(super) fn of_pool(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::of_connecting(error),
            error => Self::not_sent(error),
        }
    }

    /// No connection could be made, or nothing but the text of the statement was sent over it.
    pub(super) fn of_connecting(error: tokio_postgres::Error) -> Self {
        // How tokio-postgres says that a server is not the read-write one which is wanted. Other errors of this kind,
        // such as that of a socket's file, have the system's code.
        let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        let is_read_only = cause
            .is_some_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied && cause.raw_os_error().is_none());
        let status = match error.code().map(status_of_code) {
            Some(Status::Refused) => Status::Refused,
            _ => Status::NotApplied,
        };
        Self {
            status,
            is_read_only,
            ..Self::of_statement(error)
        }
    }

    /// A statement failed that was sent.
    pub(super) fn of_statement(error: tokio_postgres::Error) -> Self {
        let status = match error.as_db_error() {
            None => Status::Unknown,
            // The server ends the connection, at any moment, also right after it has committed.
            Some(answer) if answer.parsed_severity() != Some(Severity::Error) => Status::Unknown,
            Some(answer) => status_of_code(answer.code()),
        };
        let is_connection_stale = error.code().is_some_and(is_about_the_connection);
        Self {
            status,
            breaks_connection: is_connection_stale || status == Status::Unknown,
            is_connection_stale,
            is_read_only: error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION),
            source: Cause::from(error).into(),
        }
    }

    /// The server takes no writes.
    pub(super) fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// Whether the same call may succeed over a new connection: nothing was applied, and it is the connection's fault.
    pub(super) fn is_worth_a_new_connection(&self) -> bool {
        self.is_connection_stale && self.status != Status::Unknown
    }

    pub(super) fn into_source(self) -> Box<dyn Error + Send + Sync> {
        self.source
    }

    /// The error of a call that changes something.
    pub(super) fn into_error(self, operation: &'static str) -> TierError {
        let kind = match self.status {
            Status::NotApplied => TierErrorKind::Unavailable,
            Status::Refused => TierErrorKind::Refused,
            Status::Unknown => TierErrorKind::Unknown,
        };
        TierError::new(NAME, operation, kind).with_source(self.source)
    }

    /// The error of a call that changes nothing, or nothing that matters.
    pub(super) fn into_read_error(self, operation: &'static str) -> TierError {
        let kind = match self.status {
            Status::NotApplied | Status::Unknown => TierErrorKind::Unavailable,
            Status::Refused => TierErrorKind::Refused,
        };
        TierError::new(NAME, operation, kind).with_source(self.source)
    }
}

/// For an answer of severity ERROR: the statement was rolled back, so nothing was applied.
fn status_of_code(code: &SqlState) -> Status {
    if *code == SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN {
        return Status::Unknown;
    }
    if is_about_the_connection(code) {
        return Status::NotApplied;
    }
    // The classes of "Appendix A. PostgreSQL Error Codes" that a retry does not change: what is not supported, data,
    // constraints, authorization, names and privileges, limits.
    let is_refused = ["0A", "22", "23", "28", "3D", "3F", "42", "54"]
        .iter()
        .any(|class| code.code().starts_with(class));
    if is_refused {
        Status::Refused
    } else {
        Status::NotApplied
    }
}

/// Whether another connection may take what this one refuses: it leads to a server that has become read-only, or does
/// not know its prepared statements, or knows them for a table that was altered.
fn is_about_the_connection(code: &SqlState) -> bool {
    [
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::INVALID_SQL_STATEMENT_NAME,
        SqlState::FEATURE_NOT_SUPPORTED,
    ]
    .contains(code)
}

/// The client library's error. What the server says beside its message is left out: it may show a key or a record.
#[derive(Debug)]
pub(super) enum Cause {
    Answer { code: String, message: String },
    Client(tokio_postgres::Error),
}

impl From<tokio_postgres::Error> for Cause {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(answer) => Self::Answer {
                code: answer.code().code().to_owned(),
                message: answer.message().to_owned(),
            },
            None => Self::Client(error),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { code, message } => write!(f, "the server answered {code}: {message}"),
            Self::Client(error) => error.fmt(f),
        }
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Answer { .. } => None,
            Self::Client(error) => error.source(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_server_is_read_by_its_code() {
        for (code, expected) in [
            (SqlState::QUERY_CANCELED, Status::NotApplied),
            (SqlState::T_R_SERIALIZATION_FAILURE, Status::NotApplied),
            (SqlState::T_R_DEADLOCK_DETECTED, Status::NotApplied),
            (SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN, Status::Unknown),
            (SqlState::DISK_FULL, Status::NotApplied),
            (SqlState::TOO_MANY_CONNECTIONS, Status::NotApplied),
            (SqlState::CANNOT_CONNECT_NOW, Status::NotApplied),
            (SqlState::READ_ONLY_SQL_TRANSACTION, Status::NotApplied),
            (SqlState::FEATURE_NOT_SUPPORTED, Status::NotApplied),
            (SqlState::INSUFFICIENT_PRIVILEGE, Status::Refused),
            (SqlState::UNDEFINED_TABLE, Status::Refused),
            (SqlState::INVALID_PASSWORD, Status::Refused),
            (SqlState::CHECK_VIOLATION, Status::Refused),
        ] {
            assert_eq!(status_of_code(&code), expected, "{code:?}");
        }
    }

    #[test]
    fn what_was_not_answered_breaks_its_connection_and_is_not_tried_again() {
        let error = CallError::not_answered("no answer");
        assert!(error.breaks_connection && !error.is_worth_a_new_connection());
        assert_eq!(error.into_error("update").kind(), TierErrorKind::Unknown);
        let error = CallError::not_sent("no connection");
        assert!(!error.is_worth_a_new_connection());
        assert_eq!(error.into_error("update").kind(), TierErrorKind::Unavailable);
    }
}
