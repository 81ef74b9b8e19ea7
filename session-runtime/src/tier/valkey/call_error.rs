//! What is known about a call that failed: the table in the README of this module, as code.

use std::error::Error;

use redis::{ErrorKind, RedisError};

use crate::tier::{TierError, TierErrorKind};

/// The name of the tier.
pub(super) const NAME: &str = "valkey";

type Source = Box<dyn Error + Send + Sync>;

/// A call that failed.
#[derive(Debug)]
pub(super) enum CallError {
    /// Nothing was sent.
    NotSent(Source),
    /// Nothing was sent, and nothing will be.
    Refused(Source),
    /// The server answered with an error: nothing was applied.
    Answer(RedisError),
    /// The server at the other end is not the one any more that it was, or a replica now: nothing was applied, or only
    /// read, and another connection may do better.
    Stale(Source),
    /// Sent, and not answered.
    NotAnswered(Source),
}

/// The connection was closed before a call was sent over it.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed")]
pub(super) struct Closed;

/// The server does not say what is expected of it.
#[derive(Debug, thiserror::Error)]
#[error("the server answered something else than it was asked")]
pub(super) struct UnexpectedAnswer;

impl CallError {
    /// The client library's error.
    pub(super) fn of_client(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(_) | ErrorKind::Extension if error_has_code(&error, "READONLY") => {
                Self::Stale(error.into())
            }
            ErrorKind::Server(_) | ErrorKind::Extension => Self::Answer(error),
            // It broke, or what came over it was not understood.
            _ => Self::NotAnswered(error.into()),
        }
    }

    /// Whether the same call may succeed over a new connection, and nothing was applied of it.
    pub(super) fn is_worth_a_new_connection(&self) -> bool {
        matches!(self, Self::NotSent(_) | Self::Stale(_))
    }

    /// Whether the server has answered, be it with an error: nobody had to wait for it.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::Answer(_) | Self::Stale(_))
    }

    /// Whether the server does not know a script.
    pub(super) fn is_unknown_script(&self) -> bool {
        self.has_code("NOSCRIPT")
    }

    /// Whether the server is full, and does not evict.
    pub(super) fn is_full(&self) -> bool {
        self.has_code("OOM")
    }

    fn has_code(&self, code: &str) -> bool {
        matches!(self, Self::Answer(error) if error_has_code(error, code))
    }

    /// The error of the tier.
    pub(super) fn into_error(self, operation: &'static str, is_write: bool) -> TierError {
        let (kind, source) = match self {
            Self::NotAnswered(source) if is_write => (TierErrorKind::Unknown, source),
            Self::NotSent(source) | Self::Stale(source) | Self::NotAnswered(source) => {
                (TierErrorKind::Unavailable, source)
            }
            Self::Refused(source) => (TierErrorKind::Refused, source),
            Self::Answer(error) if is_transient(&error) => (TierErrorKind::Unavailable, error.into()),
            Self::Answer(error) => (TierErrorKind::Refused, error.into()),
        };
        TierError::new(NAME, operation, kind).with_source(source)
    }
}

/// Whether an answer has this code, in front of its text, or of that of the error in a script (Redis 6).
fn error_has_code(error: &RedisError, code: &str) -> bool {
    let is_in_script = |detail: &str| detail.split(": -").skip(1).any(|inner| inner.starts_with(code));
    error.code() == Some(code) || error.detail().is_some_and(is_in_script)
}

/// Whether a retry may succeed: the server loads its data, waits for its replicas or its disk, is full, or busy.
pub(super) fn is_transient(error: &RedisError) -> bool {
    let codes = [
        "LOADING",
        "BUSY",
        "MASTERDOWN",
        "READONLY",
        "OOM",
        "MISCONF",
        "NOREPLICAS",
        "TRYAGAIN",
        "CLUSTERDOWN",
    ];
    let has_no_place = error
        .detail()
        .is_some_and(|detail| detail.contains("max number of clients"));
    has_no_place || codes.into_iter().any(|code| error_has_code(error, code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> RedisError {
        let (code, detail) = text.split_once(' ').unwrap();
        redis::make_extension_error(code.to_owned(), Some(detail.to_owned()))
    }

    #[test]
    fn an_answer_of_the_server_is_read_by_its_code() {
        for (text, kind) in [
            ("LOADING the dataset", TierErrorKind::Unavailable),
            ("OOM command not allowed", TierErrorKind::Unavailable),
            ("MISCONF cannot persist", TierErrorKind::Unavailable),
            ("NOREPLICAS not enough", TierErrorKind::Unavailable),
            ("READONLY a replica", TierErrorKind::Unavailable),
            ("ERR max number of clients reached", TierErrorKind::Unavailable),
            (
                "ERR Error running script (call to f_0): @user_script:1: @user_script: 1: -OOM command not allowed",
                TierErrorKind::Unavailable,
            ),
            ("NOPERM this user", TierErrorKind::Refused),
            ("NOAUTH authentication required", TierErrorKind::Refused),
            ("MOVED 1 10.0.0.1:6379", TierErrorKind::Refused),
            ("WRONGTYPE another type", TierErrorKind::Refused),
            ("ERR unknown command", TierErrorKind::Refused),
        ] {
            let error = CallError::of_client(answer(text)).into_error("set", true);
            assert_eq!(error.kind(), kind, "{text}");
        }
        assert!(CallError::of_client(answer("READONLY a replica")).is_worth_a_new_connection());
        assert!(CallError::of_client(answer("NOSCRIPT none")).is_unknown_script());
        assert!(CallError::of_client(answer("OOM full")).is_full());
        assert!(!CallError::of_client(answer("ERR the text says OOM")).is_full());
    }

    #[test]
    fn only_a_write_that_was_sent_is_unknown() {
        let kind = |error: CallError, is_write| error.into_error("call", is_write).kind();
        assert_eq!(
            kind(CallError::NotAnswered(Closed.into()), true),
            TierErrorKind::Unknown
        );
        assert_eq!(
            kind(CallError::NotAnswered(Closed.into()), false),
            TierErrorKind::Unavailable
        );
        assert_eq!(
            kind(CallError::NotSent(Closed.into()), true),
            TierErrorKind::Unavailable
        );
        assert!(!CallError::NotAnswered(Closed.into()).is_worth_a_new_connection());
    }
}
