//! What is known about a write whose call failed: the table in the README of this module, as code.

use std::error::Error;
use std::fmt;

use tonic::{Code, ConnectError, Status};

use crate::tier::{TierError, TierErrorKind};

/// The name of the tier.
pub(super) const NAME: &str = "datastore";

/// A call that failed, and whether its write was applied.
#[derive(Debug)]
pub(super) struct RpcError {
    pub(super) write_status: WriteStatus,
    source: Box<dyn Error + Send + Sync>,
}

/// Whether the write of a failed call was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteStatus {
    /// Not applied: it never reached the service, or the service was over quota. A retry may succeed.
    NotApplied,
    /// Not applied: it lost against another writer. The record has probably changed, so read it before a retry.
    Aborted,
    /// Not applied: the record exists already.
    AlreadyExists,
    /// Not applied: the record is missing or has another version, or the request is invalid.
    FailedPrecondition,
    /// Not applied, and a retry will not succeed.
    Refused,
    /// Sent, and not answered by the service: it may have been applied, or may yet be.
    Unknown,
}

impl RpcError {
    pub(super) fn new(write_status: WriteStatus, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            write_status,
            source: source.into(),
        }
    }

    /// The same error, of a call that was not sent.
    pub(super) fn not_applied(self) -> Self {
        let write_status = WriteStatus::NotApplied;
        Self { write_status, ..self }
    }

    /// Whether a read that failed like this may succeed when it is retried.
    pub(super) fn is_transient(&self) -> bool {
        matches!(
            self.write_status,
            WriteStatus::NotApplied | WriteStatus::Aborted | WriteStatus::Unknown
        )
    }

    pub(super) fn into_error(self, operation: &'static str, kind: TierErrorKind) -> TierError {
        TierError::new(NAME, operation, kind).with_source(self.source)
    }
}

impl From<Status> for RpcError {
    fn from(status: Status) -> Self {
        let write_status = match status.source() {
            Some(cause) => status_of_transport_error(cause),
            None => status_of_code(status.code()),
        };
        Self::new(write_status, CallError(status))
    }
}

impl From<gcloud_sdk::error::Error> for RpcError {
    /// Credentials are fetched before the call is sent.
    fn from(error: gcloud_sdk::error::Error) -> Self {
        use gcloud_sdk::error::ErrorKind;
        let write_status = match error.kind() {
            ErrorKind::Credentials(cause) if cause.is_transient() => WriteStatus::NotApplied,
            ErrorKind::Http(_) => WriteStatus::NotApplied,
            _ => WriteStatus::Refused,
        };
        Self::new(write_status, error)
    }
}

/// For a code that the service itself sent. Only codes that rule out an applied commit mean "not applied".
fn status_of_code(code: Code) -> WriteStatus {
    match code {
        Code::ResourceExhausted => WriteStatus::NotApplied,
        Code::Aborted => WriteStatus::Aborted,
        Code::AlreadyExists => WriteStatus::AlreadyExists,
        // Both emulators answer InvalidArgument to a base version greater than the record's.
        Code::NotFound | Code::FailedPrecondition | Code::InvalidArgument => WriteStatus::FailedPrecondition,
        Code::PermissionDenied | Code::Unauthenticated | Code::Unimplemented | Code::OutOfRange => WriteStatus::Refused,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => WriteStatus::Unknown,
    }
}

/// For a status that the client library made from an error of the connection: its code is not the service's.
fn status_of_transport_error(cause: &(dyn Error + 'static)) -> WriteStatus {
    // Without a connection no request was sent.
    match find_connect_error(cause) {
        Some(_) => WriteStatus::NotApplied,
        None => WriteStatus::Unknown,
    }
}

fn find_connect_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a ConnectError> {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.find_map(|error| error.downcast_ref())
}

/// A status without its source in its text: `Status` and `ConnectError` print theirs, and an error report would show it
/// twice.
#[derive(Debug)]
struct CallError(Status);

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.0.source();
        match source.map(find_connect_error) {
            Some(Some(_)) => f.write_str("cannot connect to the service"),
            Some(None) => f.write_str("the connection to the service failed"),
            None => write!(f, "the service answered {:?}: {}", self.0.code(), self.0.message()),
        }
    }
}

impl Error for CallError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.0.source()?;
        find_connect_error(source).map_or(Some(source), Error::source)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn an_answer_of_the_service_is_read_by_its_code() {
        let cases = [
            (Code::Aborted, WriteStatus::Aborted),
            (Code::AlreadyExists, WriteStatus::AlreadyExists),
            (Code::NotFound, WriteStatus::FailedPrecondition),
            (Code::FailedPrecondition, WriteStatus::FailedPrecondition),
            (Code::InvalidArgument, WriteStatus::FailedPrecondition),
            (Code::ResourceExhausted, WriteStatus::NotApplied),
            (Code::PermissionDenied, WriteStatus::Refused),
            (Code::Unavailable, WriteStatus::Unknown),
            (Code::DeadlineExceeded, WriteStatus::Unknown),
            (Code::Internal, WriteStatus::Unknown),
            (Code::Cancelled, WriteStatus::Unknown),
            (Code::Unknown, WriteStatus::Unknown),
        ];
        for (code, expected) in cases {
            assert_eq!(RpcError::from(Status::new(code, "")).write_status, expected, "{code:?}");
        }
    }

    #[test]
    fn only_a_failure_to_connect_proves_that_nothing_was_sent() {
        let refused = Status::from_error(Box::new(ConnectError("refused".into())));
        assert_eq!(RpcError::from(refused).write_status, WriteStatus::NotApplied);
        // The code alone would mean "not applied".
        let mut broken = Status::resource_exhausted("enhance your calm");
        broken.set_source(Arc::new(io::Error::other("reset")));
        assert_eq!(RpcError::from(broken).write_status, WriteStatus::Unknown);
    }

    #[test]
    fn an_error_report_shows_every_cause_once() {
        let refused = io::Error::other("connection refused");
        let connect = Status::from_error(Box::new(ConnectError(refused.into())));
        let mut reset = Status::unavailable("reset by peer");
        reset.set_source(Arc::new(io::Error::other("reset by peer")));
        for (status, expected) in [
            (connect, "cannot connect to the service: connection refused"),
            (reset, "the connection to the service failed: reset by peer"),
            (
                Status::aborted("contention"),
                "the service answered Aborted: contention",
            ),
        ] {
            let error = RpcError::from(status).into_error("read", TierErrorKind::Unavailable);
            let causes = std::iter::successors(error.source(), |&error| error.source());
            let report: Vec<_> = causes.map(ToString::to_string).collect();
            assert_eq!(report.join(": "), expected);
        }
    }
}
