//! The four memcached commands that the tier uses, sent through `memcache-async`.

use std::io;
use std::time::Duration;

use memcache_async::ascii::Protocol;

use tokio::time::Instant;

use super::exchange::ExchangeStream;
use super::pipeline::Queue;
use super::reply::{Expected, ProtocolError};

/// The longest relative `exptime`, 30 days in seconds; memcached reads a larger one as a Unix time (its
/// doc/protocol.txt, "Expiration times").
const MAX_RELATIVE: u32 = 60 * 60 * 24 * 30;
/// An `exptime` in the past: the smallest that is a Unix time, 31 January 1970.
pub(super) const EXPIRED: u32 = MAX_RELATIVE + 1;

/// One command, on one key.
#[derive(Clone, Copy)]
pub(super) enum Command<'a> {
    Get,
    Add { value: &'a [u8], exptime: u32 },
    Set { value: &'a [u8], exptime: u32 },
    Cas { value: &'a [u8], exptime: u32, token: u64 },
}

/// What memcached replied to a command.
#[derive(Debug)]
pub(super) enum Reply {
    /// The value, and its token.
    Value(Vec<u8>, u64),
    /// The write was carried out.
    Done,
    /// Nothing was written: there is another value under the key.
    Changed,
    /// There is no value under the key.
    Missing,
}

impl Command<'_> {
    /// Its name in errors.
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

    /// The size of the value that it stores, in bytes.
    pub(super) fn value_len(&self) -> usize {
        match self {
            Self::Get => 0,
            Self::Add { value, .. } | Self::Set { value, .. } | Self::Cas { value, .. } => value.len(),
        }
    }

    /// The reply to expect for `key`, with a value of at most `max_len` bytes.
    fn expected(&self, key: &str, max_len: usize) -> Expected {
        match self {
            Self::Get => Expected::Value {
                key: key.into(),
                max_len,
            },
            Self::Add { .. } => Expected::Line(&["STORED", "NOT_STORED"]),
            Self::Set { .. } => Expected::Version,
            Self::Cas { .. } => Expected::Line(&["STORED", "EXISTS", "NOT_FOUND"]),
        }
    }

    /// Has it sent, and waits for the whole reply; sets `has_sent` to whether any byte of it may have been sent.
    pub(super) async fn exchange(
        self,
        queue: &Queue,
        key: &str,
        max_len: usize,
        deadline: Instant,
        has_sent: &mut bool,
    ) -> io::Result<Reply> {
        let mut stream = ExchangeStream::new(queue, self.expected(key, max_len), deadline, has_sent);
        let reply = self.run(&mut Protocol::new(&mut stream), key).await?;
        stream.finish()?;
        Ok(reply)
    }

    async fn run(&self, protocol: &mut Protocol<&mut ExchangeStream<'_>>, key: &str) -> io::Result<Reply> {
        let outcome = match *self {
            Self::Get => {
                let found = protocol.gets_cas(key).await;
                found.map(|(value, cas)| Reply::Value(value, cas))
            }
            Self::Add { value, exptime } => protocol.add(key, value, exptime).await.map(|()| Reply::Done),
            // `memcache-async` sends `set` with `noreply`, so the reply to a second command on the same connection shows
            // that memcached has read it. Even where memcached cannot store the value (too large, out of memory), it
            // deletes the old one.
            Self::Set { value, exptime } => {
                protocol.set(key, value, exptime).await?;
                protocol.version().await.map(|_| Reply::Done)
            }
            Self::Cas { value, exptime, token } => {
                // 0 is not a cas unique: to memcached it means "unconditionally".
                if token == 0 {
                    return Err(ProtocolError::UnexpectedReply.into());
                }
                let is_done = protocol.cas(key, value, token, exptime).await;
                is_done.map(|is_done| if is_done { Reply::Done } else { Reply::Changed })
            }
        };
        outcome.or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(Reply::Missing),
            io::ErrorKind::AlreadyExists => Ok(Reply::Changed),
            // memcache-async 0.10 expects `NOT FOUND` where memcached sends `NOT_FOUND`. The text can only be the reply's
            // line: protocol errors have another kind.
            io::ErrorKind::Other if error.to_string().trim_end() == "NOT_FOUND" => Ok(Reply::Missing),
            _ => Err(error),
        })
    }
}

/// A time to live as memcached's `exptime`: whole seconds, rounded up, from 1 (0 means "never expires") to 30 days.
pub(super) fn exptime(ttl: Duration) -> u32 {
    let seconds = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0));
    u32::try_from(seconds).unwrap_or(MAX_RELATIVE).clamp(1, MAX_RELATIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_rounded_up_and_is_neither_endless_nor_a_unix_time() {
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
