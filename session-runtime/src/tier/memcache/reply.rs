//! The shape of the one reply that a command may earn, checked before a byte of it is handed to the protocol.
//!
//! `memcache-async` allocates what a header announces, reads lines of any length and does not look at the key that a
//! reply names. A reply that is not exactly what was asked for also means that the connection is out of step, and that
//! the next bytes on it may be another request's session; so nothing of a surprising reply is kept in errors or logs,
//! save memcached's own error lines.

use std::io;

/// The longest line of a reply: `VALUE`, a key of 250 bytes and three numbers need 310.
const MAX_LINE: usize = 512;
/// How much of an error line is kept.
const MAX_ERROR: usize = 120;

/// A reply that was not what the command can earn.
#[derive(Debug, thiserror::Error)]
pub(super) enum Surprise {
    #[error("memcached answered {0}")]
    Error(String),
    #[error("memcached's reply is not one that the command can earn")]
    Unexpected,
    #[error("memcached's reply names another key")]
    AnotherKey,
    #[error("memcached's reply announces {0} bytes, more than was ever stored")]
    TooLong(u64),
    #[error("memcached's reply has a line without end")]
    EndlessLine,
    #[error("memcached sent more than was asked for")]
    Unasked,
}

impl Surprise {
    /// Finds the surprise that caused an error of the guarded stream.
    pub(super) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Whether the server refused a value for its size.
    pub(super) fn is_too_large(&self) -> bool {
        matches!(self, Self::Error(line) if line.starts_with("SERVER_ERROR object too large"))
    }
}

impl From<Surprise> for io::Error {
    fn from(surprise: Surprise) -> Self {
        Self::new(io::ErrorKind::InvalidData, surprise)
    }
}

/// What a command may earn.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected<'a> {
    /// The value under the key, of at most so many bytes and with its cas unique, or none.
    Value { key: &'a str, max_len: usize },
    /// One of these lines.
    Line(&'static [&'static str]),
    /// The server's version.
    Version,
}

/// Follows one reply from its first byte to its last.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    expected: Expected<'a>,
    at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Header,
    Body { left: usize },
    BodyEnd,
    End,
    Done,
}

impl<'a> Reply<'a> {
    pub(super) fn new(expected: Expected<'a>) -> Self {
        let at = At::Header;
        Self { expected, at }
    }

    /// Whether the last byte was approved.
    pub(super) fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// How many bytes of a value may be passed on unseen; they must be [approved](Self::approve) all the same.
    pub(super) fn body_left(&self) -> usize {
        if let At::Body { left } = self.at { left } else { 0 }
    }

    /// How many of the next bytes of the stream may be passed on: 0 asks for more of them.
    pub(super) fn approve(&mut self, bytes: &[u8]) -> Result<usize, Surprise> {
        match self.at {
            At::Header => {
                let Some(end) = bytes.iter().take(MAX_LINE).position(u8::is_ascii_control) else {
                    let is_endless = bytes.len() >= MAX_LINE;
                    return if is_endless { Err(Surprise::EndlessLine) } else { Ok(0) };
                };
                let (line, end_of_line) = bytes.split_at(end);
                match end_of_line {
                    [b'\r'] => return Ok(0),
                    [b'\r', b'\n', ..] => {}
                    _ => return Err(Surprise::Unexpected),
                }
                self.at = self.after_header(str::from_utf8(line).map_err(|_| Surprise::Unexpected)?)?;
                Ok(end + 2)
            }
            At::Body { left } => {
                let taken = left.min(bytes.len());
                self.at = match left - taken {
                    0 => At::BodyEnd,
                    left => At::Body { left },
                };
                Ok(taken)
            }
            At::BodyEnd => self.approve_exactly(b"\r\n", bytes, At::End),
            At::End => self.approve_exactly(b"END\r\n", bytes, At::Done),
            At::Done if bytes.is_empty() => Ok(0),
            At::Done => Err(Surprise::Unasked),
        }
    }

    fn approve_exactly(&mut self, due: &'static [u8], bytes: &[u8], then: At) -> Result<usize, Surprise> {
        if bytes.starts_with(due) {
            self.at = then;
            Ok(due.len())
        } else if due.starts_with(bytes) {
            Ok(0)
        } else {
            Err(Surprise::Unexpected)
        }
    }

    fn after_header(&self, line: &str) -> Result<At, Surprise> {
        match self.expected {
            Expected::Value { .. } if line == "END" => return Ok(At::Done),
            Expected::Value { key, max_len } => {
                if let Some(value) = line.strip_prefix("VALUE ") {
                    return value_header(value, key, max_len);
                }
            }
            Expected::Line(lines) if lines.contains(&line) => return Ok(At::Done),
            Expected::Version if line.starts_with("VERSION ") => return Ok(At::Done),
            Expected::Line(_) | Expected::Version => {}
        }
        let is_error = line == "ERROR" || line.starts_with("CLIENT_ERROR ") || line.starts_with("SERVER_ERROR ");
        if !is_error {
            return Err(Surprise::Unexpected);
        }
        Err(Surprise::Error(line.chars().take(MAX_ERROR).collect()))
    }
}

/// Checks `<key> <flags> <bytes> <cas unique>`.
fn value_header(header: &str, key: &str, max_len: usize) -> Result<At, Surprise> {
    let mut words = header.split(' ');
    if words.next() != Some(key) {
        return Err(Surprise::AnotherKey);
    }
    let mut number = || words.next().and_then(number);
    let (Some(_flags), Some(len), Some(_cas)) = (number(), number(), number()) else {
        return Err(Surprise::Unexpected);
    };
    if words.next().is_some() {
        return Err(Surprise::Unexpected);
    }
    match usize::try_from(len) {
        Ok(0) => Ok(At::BodyEnd),
        Ok(left) if left <= max_len => Ok(At::Body { left }),
        _ => Err(Surprise::TooLong(len)),
    }
}

/// Digits only: `parse` would take a sign as well.
fn number(word: &str) -> Option<u64> {
    let is_digits = word.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits { word.parse().ok() } else { None }
}
