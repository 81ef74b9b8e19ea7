//! What a failed call says about the write in it: the table in the module's documentation, as code.

use std::error::Error;

use tonic::{Code, ConnectError, Status};

use crate::tier::{TierError, TierErrorKind};

/// What the tier is called.
pub(super) const NAME: &str = "datastore";

/// A call that failed, and what is known for it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) fate: Fate,
    source: Box<dyn Error + Send + Sync>,
}

/// What became of a mutation whose call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It never reached the service, or the service had no room for it: not applied, and worth another try.
    NotApplied,
    /// It lost against another writer: not applied. The record has probably moved on, so look before trying again.
    Aborted,
    /// The record exists already: not applied.
    Exists,
    /// The record is missing or has another version, or something else was not as the service wants it: not applied.
    Precondition,
    /// Not applied, and trying again will not help.
    Refused,
    /// Sent, and no verdict of the service came back: it may have been applied, or may yet be.
    Lost,
}

impl Fault {
    pub(super) fn new(fate: Fate, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            fate,
            source: source.into(),
        }
    }

    /// For a read, where everything that is not a refusal is a reason to try again.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self.fate, Fate::NotApplied | Fate::Aborted | Fate::Lost)
    }

    pub(super) fn into_error(self, doing: &'static str, kind: TierErrorKind) -> TierError {
        TierError::new(NAME, doing, kind).with_source(self.source)
    }
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        let fate = match status.source() {
            Some(cause) => fate_of_transport(cause),
            None => fate_of_verdict(status.code()),
        };
        Self::new(fate, status)
    }
}

impl From<gcloud_sdk::error::Error> for Fault {
    /// Credentials are fetched before anything of the call is sent.
    fn from(error: gcloud_sdk::error::Error) -> Self {
        use gcloud_sdk::error::ErrorKind;
        let fate = match error.kind() {
            ErrorKind::Credentials(cause) if cause.is_transient() => Fate::NotApplied,
            ErrorKind::Http(_) => Fate::NotApplied,
            _ => Fate::Refused,
        };
        Self::new(fate, error)
    }
}

/// The service's own word. Only codes whose meaning excludes a half-done commit are read as "not applied".
fn fate_of_verdict(code: Code) -> Fate {
    match code {
        Code::ResourceExhausted => Fate::NotApplied,
        Code::Aborted => Fate::Aborted,
        Code::AlreadyExists => Fate::Exists,
        // InvalidArgument: both emulators' answer to a base greater than the record's version.
        Code::NotFound | Code::FailedPrecondition | Code::InvalidArgument => Fate::Precondition,
        Code::PermissionDenied | Code::Unauthenticated | Code::Unimplemented | Code::OutOfRange => Fate::Refused,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Fate::Lost,
    }
}

/// A status that this side made up, from an error of the connection. Its code says nothing about the service.
fn fate_of_transport(cause: &(dyn Error + 'static)) -> Fate {
    let mut cause = Some(cause);
    while let Some(error) = cause {
        // No connection, so no request.
        if error.is::<ConnectError>() {
            return Fate::NotApplied;
        }
        cause = error.source();
    }
    Fate::Lost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_read_by_its_code() {
        let fates = [
            (Code::Aborted, Fate::Aborted),
            (Code::AlreadyExists, Fate::Exists),
            (Code::NotFound, Fate::Precondition),
            (Code::FailedPrecondition, Fate::Precondition),
            (Code::InvalidArgument, Fate::Precondition),
            (Code::ResourceExhausted, Fate::NotApplied),
            (Code::PermissionDenied, Fate::Refused),
            (Code::Unavailable, Fate::Lost),
            (Code::DeadlineExceeded, Fate::Lost),
            (Code::Internal, Fate::Lost),
            (Code::Cancelled, Fate::Lost),
            (Code::Unknown, Fate::Lost),
        ];
        for (code, fate) in fates {
            assert_eq!(Fault::from(Status::new(code, "")).fate, fate, "{code:?}");
        }
    }

    #[test]
    fn only_a_failure_to_connect_proves_that_nothing_was_sent() {
        let refused = Status::from_error(Box::new(ConnectError("refused".into())));
        assert_eq!(Fault::from(refused).fate, Fate::NotApplied);
        // Would read as a verdict of the service, were its origin not looked at.
        let mut broken = Status::resource_exhausted("enhance your calm");
        broken.set_source(std::sync::Arc::new(std::io::Error::other("reset")));
        assert_eq!(Fault::from(broken).fate, Fate::Lost);
    }
}
