//! What the rules share: random keys, expectations, races, and futures that are dropped half-way.

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
use crate::cascade::{BuildError, CommitError, LoadError};
use crate::keys::KeyError;
use crate::session::{FieldError, OpenError};
use crate::tier::{TierError, TierErrorKind};

/// A lifetime that no rule outlives.
pub(super) const LONG: Duration = Duration::from_hours(1);

/// What a rule works with.
pub(super) struct Probe<'a, T> {
    pub(super) tier: &'a Arc<T>,
    pub(super) options: &'a Options,
}

/// A rule that was failure, before it is known by its sentence.
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

/// Any error that a rule did not ask for breaks it.
macro_rules! unasked {
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

unasked!(
    TierError,
    LoadError,
    CommitError,
    BuildError,
    KeyError,
    OpenError,
    FieldError
);

/// Names the rule that `outcome` belongs to, and ends it where the tier does not.
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
                format!("nothing was heard for {:?}", options.rule_timeout),
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
pub(super) fn expect<V: Copy + PartialEq + fmt::Debug>(what: &str, found: V, expected: V) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(RuleFailure::new(
        format!("{what} to be {expected:?}"),
        format!("it was {found:?}"),
    ))
}

/// As [`expect`], for values: a large one is not spelled out.
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

/// `what` must hold; `found` says what does instead.
pub(super) fn ensure(holds: bool, what: &str, found: impl FnOnce() -> String) -> Outcome {
    if holds {
        Ok(())
    } else {
        Err(RuleFailure::new(what, found()))
    }
}

/// A value of `size` bytes must be refused as too large, by an error that says so.
pub(super) fn expect_too_large<V: fmt::Debug>(doing: &str, found: Result<V, TierError>, size: usize) -> Outcome {
    match found {
        Err(error) if matches!(error.kind(), TierErrorKind::TooLarge { size: told, .. } if told == size) => Ok(()),
        other => Err(RuleFailure::new(
            format!("{doing} of {size} bytes to fail as too large, telling its size"),
            format!("it gave {other:?}"),
        )),
    }
}

/// A key that nobody else uses: a readable start, then 128 random bits.
pub(super) fn key() -> String {
    format!("conformance.{:032x}", fastrand::u128(..))
}

/// A key of `len` bytes, from the whole alphabet that keys may have.
pub(super) fn key_of_len(len: usize) -> String {
    let alphabet = (b'!'..=b'~').map(char::from).cycle();
    key().chars().chain(alphabet).take(len).collect()
}

/// A value that nobody else stores.
pub(super) fn value(label: &str) -> Bytes {
    Bytes::from(format!("{label}-{:032x}", fastrand::u128(..)))
}

/// `len` bytes, every one of the 256 among them where there is room, none of them text.
pub(super) fn blob(len: usize) -> Bytes {
    let mut state = 0_u8;
    let next = |at: usize| {
        // Walks through all bytes, in an order that changes from one 256 to the next.
        state = state
            .wrapping_mul(5)
            .wrapping_add(if at.is_multiple_of(256) { 2 } else { 1 });
        state
    };
    (0..len).map(next).collect::<Vec<u8>>().into()
}

/// What might be taken for a protocol's own words, or be cut short: every byte, line ends, NULs, text that looks like
/// an answer, nothing at all.
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

/// Sizes that cross the buffers and frames on the way, up to the largest that `options` allow.
pub(super) fn sizes(max_value_len: usize, options: &Options) -> Vec<usize> {
    let largest = max_value_len.min(options.largest_value);
    let mut sizes = vec![1, 1023, 4096, 16 * 1024 + 1, 64 * 1024, 256 * 1024 + 7, largest];
    sizes.retain(|size| *size <= largest);
    sizes
}

/// The size of a value that is one byte too large, where memory allows to make one.
pub(super) fn too_large(max_value_len: usize) -> Option<usize> {
    const AT_MOST: usize = 64 << 20;
    max_value_len.checked_add(1).filter(|size| *size <= AT_MOST)
}

/// Runs all at once and gives what each came to, in their order.
pub(super) async fn race<F>(concurrency: impl Iterator<Item = F>) -> Result<Vec<F::Output>, RuleFailure>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let mut running = JoinSet::new();
    for (at, contender) in concurrency.enumerate() {
        running.spawn(async move { (at, contender.await) });
    }
    let mut outputs = Vec::with_capacity(running.len());
    while let Some(ended) = running.join_next().await {
        outputs.push(ended.map_err(|panic| RuleFailure::new("every call to return", format!("one did not: {panic}")))?);
    }
    outputs.sort_by_key(|(at, _)| *at);
    Ok(outputs.into_iter().map(|(_, output)| output).collect())
}

/// Polls `future` at most `polls` times, each when it asks for it, and drops it, done or not.
pub(super) async fn cut<F: Future>(future: F, polls: usize) {
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
