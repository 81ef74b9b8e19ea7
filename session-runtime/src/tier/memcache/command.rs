//! The four commands of the tier, spoken through `memcache-async`.

use std::io;
use std::time::Duration;

use memcache_async::ascii::Protocol;

use super::reply::{Expected, Surprise};
use super::stream::Guard;

/// The longest relative `exptime`, 30 days; memcached takes a larger one for a Unix time (doc/protocol.txt).
const MAX_RELATIVE: u32 = 60 * 60 * 24 * 30;
/// An `exptime` in the past: the smallest absolute one, on 31 January 1970.
pub(super) const EXPIRED: u32 = MAX_RELATIVE + 1;

/// One command, on one key.
#[derive(Clone, Copy)]
pub(super) enum Command<'a> {
    Get,
    Add { value: &'a [u8], exptime: u32 },
    Set { value: &'a [u8], exptime: u32 },
    Cas { value: &'a [u8], exptime: u32, token: u64 },
}

/// What a command led to.
#[derive(Debug)]
pub(super) enum Answer {
    /// The value, and its cas unique.
    Value(Vec<u8>, u64),
    /// The write was carried out.
    Done,
    /// Another value is in the way.
    Changed,
    /// There is no value.
    Absent,
}

impl Command<'_> {
    /// What to call it in errors.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Add { .. } => "add",
            Self::Set { .. } => "set",
            Self::Cas { exptime: EXPIRED, .. } => "remove",
            Self::Cas { .. } => "swap",
        }
    }

    pub(super) fn is_write(&self) -> bool {
        !matches!(self, Self::Get)
    }

    /// The size of what it stores, in bytes.
    pub(super) fn value_len(&self) -> usize {
        match self {
            Self::Get => 0,
            Self::Add { value, .. } | Self::Set { value, .. } | Self::Cas { value, .. } => value.len(),
        }
    }

    /// The reply to expect, for a `key` whose value has at most `max_len` bytes.
    pub(super) fn expected<'a>(&self, key: &'a str, max_len: usize) -> Expected<'a> {
        match self {
            Self::Get => Expected::Value { key, max_len },
            Self::Add { .. } => Expected::Line(&["STORED", "NOT_STORED"]),
            Self::Set { .. } => Expected::Version,
            Self::Cas { .. } => Expected::Line(&["STORED", "EXISTS", "NOT_FOUND"]),
        }
    }

    /// Sends it and reads the whole reply. `salt` turns a token into a cas unique, and back.
    pub(super) async fn perform(
        &self,
        protocol: &mut Protocol<&mut Guard<'_>>,
        key: &str,
        salt: u64,
    ) -> io::Result<Answer> {
        let outcome = match *self {
            Self::Get => {
                let found = protocol.gets_cas(key).await;
                found.map(|(value, cas)| Answer::Value(value, cas ^ salt))
            }
            Self::Add { value, exptime } => protocol.add(key, value, exptime).await.map(|()| Answer::Done),
            // The store is `noreply`: the answer to a second command on the same connection shows that it was read.
            // One that memcached does not store (too large, out of memory) still drops what lay there.
            Self::Set { value, exptime } => {
                protocol.set(key, value, exptime).await?;
                protocol.version().await.map(|_| Answer::Done)
            }
            Self::Cas { value, exptime, token } => {
                // 0 is no cas unique: memcached takes it for "unconditionally".
                let Some(cas) = Some(token ^ salt).filter(|cas| *cas != 0) else {
                    return Err(Surprise::Unexpected.into());
                };
                let is_done = protocol.cas(key, value, cas, exptime).await;
                is_done.map(|is_done| if is_done { Answer::Done } else { Answer::Changed })
            }
        };
        outcome.or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(Answer::Absent),
            io::ErrorKind::AlreadyExists => Ok(Answer::Changed),
            // memcache-async 0.10 looks for `NOT FOUND` where memcached says `NOT_FOUND`. The text can only be the
            // reply's line: the guard's own surprises are of another kind.
            io::ErrorKind::Other if error.to_string().trim_end() == "NOT_FOUND" => Ok(Answer::Absent),
            _ => Err(error),
        })
    }
}

/// A time to live in memcached's terms: whole seconds rounded up, from 1 (0 would be for ever) to 30 days.
pub(super) fn exptime(ttl: Duration) -> u32 {
    let seconds = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0));
    u32::try_from(seconds).unwrap_or(MAX_RELATIVE).clamp(1, MAX_RELATIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_rounded_up_and_never_for_ever_or_a_date() {
        let cases = [
            (Duration::ZERO, 1),
            (Duration::from_millis(1), 1),
            (Duration::from_secs(1), 1),
            (Duration::from_millis(1001), 2),
            (Duration::from_hours(720), 2_592_000),
            (Duration::from_millis(2_592_000_001), 2_592_000),
            (Duration::MAX, 2_592_000),
        ];
        for (ttl, seconds) in cases {
            assert_eq!(exptime(ttl), seconds, "{ttl:?}");
        }
    }
}
