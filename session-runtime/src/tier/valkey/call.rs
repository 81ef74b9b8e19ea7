//! The calls, as the server's commands.
//!
//! A value is stored behind its head: the life in which it was written (see [`life`](super::life)), and a random number
//! by which it is told from every other value, the token.

use std::time::Duration;

use bytes::Bytes;
use redis::{Cmd, Value};

use super::life::{LIFE_LEN, Life};
use crate::tier::{Cached, Token};

/// The length of the head, in bytes.
const HEAD_LEN: usize = LIFE_LEN + size_of::<u64>();
/// The longest time to live, in milliseconds: a thousand years. The server adds it to the time of day.
const MAX_TTL: u64 = 1000 * 365 * 24 * 60 * 60 * 1000;

/// Stores ARGV[1], head and all, for ARGV[2] ms, unless there is a value. One of the life ARGV[3] is none. Answers
/// `DONE`, or `CHANGED` for a value of this life, or the life of the value that there is. Words, since a number that is
/// damaged on its way may become another one.
const ADD: &str = "\
local life = redis.call('GETRANGE', KEYS[1], 0, 7) \
if #life == 8 and life ~= ARGV[3] then \
if life == string.sub(ARGV[1], 1, 8) then return {ok='CHANGED'} end \
return life \
end \
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) \
return {ok='DONE'}";

/// Replaces the value of head ARGV[1] by ARGV[2] for ARGV[3] ms, or deletes it where there is no more than ARGV[1].
/// Answers `DONE`, or `MISSING` where there is none, or `CHANGED` for another value of this life, or the life of the
/// value that there is.
const SWAP: &str = "\
local head = redis.call('GETRANGE', KEYS[1], 0, 15) \
if #head < 16 then return {ok='MISSING'} end \
if head ~= ARGV[1] then \
local life = string.sub(head, 1, 8) \
if life == string.sub(ARGV[1], 1, 8) then return {ok='CHANGED'} end \
return life \
end \
if ARGV[2] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) else redis.call('DEL', KEYS[1]) end \
return {ok='DONE'}";

/// One call, on one key.
#[derive(Clone, Copy)]
pub(super) enum Call<'a> {
    Get,
    Add {
        value: &'a [u8],
        ttl: Duration,
    },
    Set {
        value: &'a [u8],
        ttl: Duration,
    },
    Swap {
        token: Token,
        value: &'a [u8],
        ttl: Duration,
    },
    Remove {
        token: Token,
    },
}

/// How a call ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Value(Cached),
    /// The write was carried out.
    Done,
    /// Nothing was written: there is another value under the key.
    Changed,
    /// There is no value under the key.
    Missing,
}

/// What the server has under a key, or did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// What it says holds whatever the life.
    Answer(Answer),
    /// There is a value of this life, and nothing was done.
    OfLife(Life, Option<Cached>),
}

/// A script of the server's.
#[derive(Clone, Copy)]
pub(super) enum Script {
    Add,
    Swap,
}

impl Script {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Add => ADD,
            Self::Swap => SWAP,
        }
    }
}

impl Call<'_> {
    /// Its name in errors.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Add { .. } => "add",
            Self::Set { .. } => "set",
            Self::Swap { .. } => "swap",
            Self::Remove { .. } => "remove",
        }
    }

    pub(super) fn is_write(&self) -> bool {
        !matches!(self, Self::Get)
    }

    /// The size of the value that it stores, in bytes.
    pub(super) fn value_len(&self) -> usize {
        match self {
            Self::Get | Self::Remove { .. } => 0,
            Self::Add { value, .. } | Self::Set { value, .. } | Self::Swap { value, .. } => value.len(),
        }
    }

    /// The script that carries it out, if it takes one.
    pub(super) fn script(&self) -> Option<Script> {
        match self {
            Self::Get | Self::Set { .. } => None,
            Self::Add { .. } => Some(Script::Add),
            Self::Swap { .. } | Self::Remove { .. } => Some(Script::Swap),
        }
    }

    /// The command, in this life. `script` begins the one that runs its script. Values of the life `dead` are none.
    pub(super) fn command(&self, script: Cmd, key: &str, life: Life, dead: Option<Life>) -> Cmd {
        match *self {
            Self::Get => command(&["GET", key]),
            Self::Set { value, ttl } => {
                let mut set = command(&["SET", key]);
                set.arg(with_head(life, value)).arg("PX").arg(milliseconds(ttl));
                set
            }
            Self::Add { value, ttl } => {
                let mut add = script;
                add.arg(1).arg(key).arg(with_head(life, value)).arg(milliseconds(ttl));
                add.arg(dead.as_ref().map_or(&[][..], |Life(dead)| &dead[..]));
                add
            }
            Self::Swap { token, value, ttl } => {
                let mut swap = script;
                swap.arg(1).arg(key).arg(&head(life, token)[..]);
                swap.arg(with_head(life, value)).arg(milliseconds(ttl));
                swap
            }
            Self::Remove { token } => {
                let mut remove = script;
                remove.arg(1).arg(key).arg(&head(life, token)[..]);
                remove
            }
        }
    }

    /// What the server's answer means. `None` if it is no answer to this call.
    pub(super) fn read(&self, answer: Value) -> Option<Found> {
        Some(Found::Answer(match (self, answer) {
            (Self::Get, Value::Nil) => Answer::Missing,
            (Self::Get, Value::BulkString(stored)) => return Some(split(stored)),
            (Self::Set { .. }, Value::Okay) => Answer::Done,
            (Self::Add { .. } | Self::Swap { .. } | Self::Remove { .. }, Value::SimpleString(word)) => match &*word {
                "DONE" => Answer::Done,
                "CHANGED" => Answer::Changed,
                "MISSING" => Answer::Missing,
                _ => return None,
            },
            (Self::Add { .. } | Self::Swap { .. } | Self::Remove { .. }, Value::BulkString(life)) => {
                return Some(Found::OfLife(Life(life.try_into().ok()?), None));
            }
            _ => return None,
        }))
    }
}

/// A command of these words.
pub(super) fn command(words: &[&str]) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(word);
    }
    command
}

fn head(Life(life): Life, Token(token): Token) -> [u8; HEAD_LEN] {
    let mut head = [0; HEAD_LEN];
    for (byte, from) in head.iter_mut().zip(life.into_iter().chain(token.to_be_bytes())) {
        *byte = from;
    }
    head
}

/// A value behind a head of its own.
fn with_head(life: Life, value: &[u8]) -> Vec<u8> {
    let token = Token(getrandom::u64().unwrap_or_else(|_| fastrand::u64(..)));
    [&head(life, token), value].concat()
}

/// What is shorter than a head is not of this crate's making, and counts as none.
fn split(stored: Vec<u8>) -> Found {
    let stored = Bytes::from(stored);
    let Some((life, rest)) = stored.split_first_chunk::<LIFE_LEN>() else {
        return Found::Answer(Answer::Missing);
    };
    let Some((token, _)) = rest.split_first_chunk() else {
        return Found::Answer(Answer::Missing);
    };
    let cached = Cached {
        token: Token(u64::from_be_bytes(*token)),
        value: stored.slice(HEAD_LEN..),
    };
    Found::OfLife(Life(*life), Some(cached))
}

/// A time to live in milliseconds, rounded up, from 1 to [`MAX_TTL`].
fn milliseconds(ttl: Duration) -> u64 {
    let milliseconds = ttl.as_nanos().div_ceil(1_000_000);
    u64::try_from(milliseconds).unwrap_or(MAX_TTL).clamp(1, MAX_TTL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_from_behind_its_head() {
        let life = Life(*b"lifelife");
        for value in [&b""[..], b"v", b"\r\n"] {
            let stored = with_head(life, value);
            assert_eq!(stored.len(), HEAD_LEN + value.len());
            let Found::OfLife(found, Some(cached)) = split(stored.clone()) else {
                panic!("no value")
            };
            assert_eq!((found, &cached.value[..]), (life, value));
            assert_eq!(stored[..HEAD_LEN], head(life, cached.token));
            assert_ne!(with_head(life, value), stored, "every value has a token of its own");
        }
        for foreign in ["", "x", "fifteen bytes.."].map(Vec::from) {
            assert_eq!(split(foreign), Found::Answer(Answer::Missing));
        }
    }

    #[test]
    fn a_ttl_is_rounded_up_and_is_neither_zero_nor_more_than_the_server_takes() {
        for (ttl, expected) in [
            (Duration::ZERO, 1),
            (Duration::from_nanos(1), 1),
            (Duration::from_micros(1001), 2),
            (Duration::from_secs(60), 60_000),
            (Duration::MAX, MAX_TTL),
        ] {
            assert_eq!(milliseconds(ttl), expected, "{ttl:?}");
        }
    }

    #[test]
    fn an_answer_to_something_else_is_none() {
        let remove = Call::Remove { token: Token(1) };
        assert_eq!(Call::Get.read(Value::Okay), None);
        assert_eq!(remove.read(Value::Okay), None);
        assert_eq!(remove.read(Value::BulkString(b"short".to_vec())), None);
        assert_eq!(remove.read(Value::Int(1)), None);
        assert_eq!(remove.read(Value::SimpleString("DOME".to_owned())), None);
    }
}
