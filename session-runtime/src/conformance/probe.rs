//! What the rules share: random keys, expectations, concurrent calls, and cancelled calls.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{Options, Violation};
use crate::cascade::{BuildError, CommitError, LoadError, OwnerError};
use crate::keys::KeyError;
use crate::session::{FieldError, OpenError};
use crate::tier::{TierError, TierErrorKind};

/// A lifetime longer than any rule takes.
pub(super) const LONG: Duration = Duration::from_hours(1);

/// A tier under test.
pub(super) struct Probe<'a, T> {
    pub(super) tier: &'a Arc<T>,
    pub(super) options: &'a Options,
}

/// How a rule failed; [`check`] adds the rule's sentence.
#[derive(Debug)]
pub(super) struct RuleFailure {
    expected: String,
    found: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

pub(super) type Outcome = Result<(), RuleFailure>;

impl RuleFailure {
    pub(super) fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            found: found.into(),
            source: None,
        }
    }
}

/// An error that a rule does not expect breaks it.
macro_rules! unexpected {
    ($($error:ty),+) => { $(
        impl From<$error> for RuleFailure {
            fn from(error: $error) -> Self {
                Self {
                    expected: "an answer".to_owned(),
                    found: format!("there was an error: {error}"),
                    source: Some(Box::new(error)),
                }
            }
        }
    )+ };
}

unexpected!(
    TierError,
    LoadError,
    CommitError,
    BuildError,
    KeyError,
    OpenError,
    FieldError,
    OwnerError
);

/// Runs a rule within its timeout, and adds its sentence to the failure.
pub(super) async fn check(
    tier: &str,
    options: &Options,
    rule: &'static str,
    outcome: impl Future<Output = Outcome>,
) -> Result<(), Violation> {
    let outcome = tokio::time::timeout(options.rule_timeout, outcome)
        .await
        .unwrap_or_else(|_| {
            Err(RuleFailure::new(
                "every call to end within a bounded time",
                format!("the rule did not end within {:?}", options.rule_timeout),
            ))
        });
    outcome.map_err(|failure| Violation {
        tier: tier.to_owned(),
        rule,
        expected: failure.expected,
        found: failure.found,
        source: failure.source,
    })
}

/// `what` must be `expected`.
#[expect(clippy::needless_pass_by_value, reason = "most values are written in place")]
pub(super) fn expect<V: PartialEq + fmt::Debug>(what: &str, found: V, expected: V) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(RuleFailure::new(
        format!("{what} to be {expected:?}"),
        format!("it was {found:?}"),
    ))
}

/// As [`expect`], for values: a large one is abbreviated.
pub(super) fn expect_value(what: &str, found: Option<&Bytes>, expected: Option<&Bytes>) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(RuleFailure::new(
        format!("{what} to be {}", describe(expected)),
        format!("it was {}", describe(found)),
    ))
}

fn describe(value: Option<&Bytes>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(value) if value.len() <= 48 => format!("{value:?}"),
        Some(value) => format!("{:?} and {} more bytes", value.slice(..32), value.len() - 32),
    }
}

/// `what` must hold; `found` says what happened instead.
pub(super) fn ensure(holds: bool, what: &str, found: impl FnOnce() -> String) -> Outcome {
    if holds {
        Ok(())
    } else {
        Err(RuleFailure::new(what, found()))
    }
}

/// A value of `size` bytes must be rejected as too large, by an error that contains its size.
pub(super) fn expect_too_large<V: fmt::Debug>(doing: &str, found: Result<V, TierError>, size: usize) -> Outcome {
    match found {
        Err(error) if matches!(error.kind(), TierErrorKind::TooLarge { size: reported, .. } if reported == size) => {
            Ok(())
        }
        other => Err(RuleFailure::new(
            format!("{doing} of {size} bytes to fail with `TooLarge` and that size"),
            format!("it returned {other:?}"),
        )),
    }
}

/// A unique key: a readable prefix, then 128 random bits.
pub(super) fn key() -> String {
    format!("conformance.{:032x}", fastrand::u128(..))
}

/// A key of `len` bytes, with every character that keys may have.
pub(super) fn key_of_len(len: usize) -> String {
    let alphabet = (b'!'..=b'~').map(char::from).cycle();
    key().chars().chain(alphabet).take(len).collect()
}

/// A unique value.
pub(super) fn value(label: &str) -> Bytes {
    Bytes::from(format!("{label}-{:032x}", fastrand::u128(..)))
}

/// `len` bytes of binary data; from 256 on, every byte occurs.
pub(super) fn blob(len: usize) -> Bytes {
    let mut state = 0_u8;
    let next = |at: usize| {
        // Runs through all bytes, in an order that differs from one run of 256 to the next.
        state = state
            .wrapping_mul(5)
            .wrapping_add(if at.is_multiple_of(256) { 2 } else { 1 });
        state
    };
    (0..len).map(next).collect::<Vec<u8>>().into()
}

/// Values that a tier might truncate or take for a part of its protocol: every byte, line ends, NULs, text that looks like
/// a reply, an empty value.
pub(super) fn awkward_values() -> Vec<Bytes> {
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    vec![
        Bytes::new(),
        Bytes::from(every_byte),
        Bytes::from_static(b"\r\n"),
        Bytes::from_static(b"END\r\n"),
        Bytes::from_static(b"VALUE k 0 1\r\nx\r\nEND\r\n"),
        Bytes::from_static(b"\0"),
        Bytes::from_static(b"\0\0trailing\0"),
        Bytes::from_static(b"\xFF\xFE not utf-8 \xC3\x28"),
        Bytes::from_static(b" leading and trailing "),
    ]
}

/// Sizes around those of buffers and frames, up to the largest that `options` allow.
pub(super) fn sizes(max_value_len: usize, options: &Options) -> Vec<usize> {
    let largest = max_value_len.min(options.largest_value);
    let mut sizes = vec![1, 1023, 4096, 16 * 1024 + 1, 64 * 1024, 256 * 1024 + 7, largest];
    sizes.retain(|size| *size <= largest);
    sizes
}

/// The size of a value that is one byte too large; `None` if such a value would take more than 64 MiB.
pub(super) fn too_large(max_value_len: usize) -> Option<usize> {
    const AT_MOST: usize = 64 << 20;
    max_value_len.checked_add(1).filter(|size| *size <= AT_MOST)
}

/// Runs all calls concurrently and returns their outputs, in the order of the calls.
pub(super) async fn race<F>(calls: impl Iterator<Item = F>) -> Result<Vec<F::Output>, RuleFailure>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let mut running = JoinSet::new();
    for (at, call) in calls.enumerate() {
        running.spawn(async move { (at, call.await) });
    }
    let mut outputs = Vec::with_capacity(running.len());
    while let Some(ended) = running.join_next().await {
        outputs.push(ended.map_err(|panic| RuleFailure::new("every call to return", format!("one did not: {panic}")))?);
    }
    outputs.sort_by_key(|(at, _)| *at);
    Ok(outputs.into_iter().map(|(_, output)| output).collect())
}

/// Polls `future` at most `polls` times, each time that it wakes, and then drops it.
pub(super) async fn cancel_after<F: Future>(future: F, polls: usize) {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Pending if left > 0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    })
    .await;
}
