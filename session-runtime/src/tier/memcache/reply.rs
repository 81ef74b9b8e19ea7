//! Checks every byte of a reply against the command that was sent, before `memcache-async` parses it.
//!
//! `memcache-async` allocates the length that a header announces, reads lines of any length and ignores the key that a
//! reply names. An unexpected reply also means that the connection is out of sync: the bytes may belong to another
//! request's session. So errors and logs hold nothing of such a reply, except memcached's own error lines.

use std::io;

/// The longest line of a reply that is read: `VALUE`, a key of 250 bytes and three numbers need 310 (memcached's
/// doc/protocol.txt, "Retrieval commands").
const MAX_LINE: usize = 512;
/// How many characters of an error line are kept.
const MAX_ERROR: usize = 120;

/// A reply that memcached's protocol does not allow for the command.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum ProtocolError {
    #[error("memcached answered {0}")]
    ServerError(String),
    #[error("memcached sent a reply that does not belong to the command: check that the server is a memcached")]
    UnexpectedReply,
    #[error("memcached's reply names another key")]
    WrongKey,
    #[error("memcached's reply announces {0} bytes, more than the largest value: raise the limit if it is valid")]
    ValueTooLarge(u64),
    #[error("memcached's reply has a line that is too long")]
    LineTooLong,
    #[error("memcached sent bytes after the end of the reply")]
    Unsolicited,
}

impl ProtocolError {
    /// The protocol error inside an error of an exchange.
    pub(super) fn from_io(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Whether the server refused to store a value because of its size.
    pub(super) fn is_object_too_large(&self) -> bool {
        matches!(self, Self::ServerError(line) if line.starts_with("SERVER_ERROR object too large"))
    }
}

impl From<ProtocolError> for io::Error {
    fn from(error: ProtocolError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// The reply that a command allows, besides an error line.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// The value under `key`, with its cas unique and of at most `max_len` bytes, or none.
    Value { key: Box<str>, max_len: usize },
    /// One of these lines.
    Line(&'static [&'static str]),
    /// The server's version.
    Version,
}

/// Checks one reply from its first byte to its last.
#[derive(Debug)]
pub(super) struct ReplyChecker {
    expected: Expected,
    state: State,
    refusal: Option<ProtocolError>,
}

/// The part of the reply that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    Body { left: usize },
    BodyEnd,
    End,
    Done,
}

impl ReplyChecker {
    pub(super) fn new(expected: Expected) -> Self {
        Self {
            expected,
            state: State::Header,
            refusal: None,
        }
    }

    /// Whether the reply was checked to its last byte.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The error by which memcached has refused to store a value, as a whole reply: it skips the value, and goes on with the
    /// next command.
    pub(super) fn take_refusal(&mut self) -> Option<ProtocolError> {
        self.refusal.take()
    }

    /// How many of the next bytes of the stream belong to the reply; 0 means that more are needed to tell.
    pub(super) fn check(&mut self, bytes: &[u8]) -> Result<usize, ProtocolError> {
        match self.state {
            State::Header => {
                let Some(end) = bytes.iter().take(MAX_LINE).position(u8::is_ascii_control) else {
                    let is_too_long = bytes.len() >= MAX_LINE;
                    return if is_too_long {
                        Err(ProtocolError::LineTooLong)
                    } else {
                        Ok(0)
                    };
                };
                let (line, end_of_line) = bytes.split_at(end);
                match end_of_line {
                    [b'\r'] => return Ok(0),
                    [b'\r', b'\n', ..] => {}
                    _ => return Err(ProtocolError::UnexpectedReply),
                }
                self.state = self.check_header(str::from_utf8(line).map_err(|_| ProtocolError::UnexpectedReply)?)?;
                Ok(end + 2)
            }
            State::Body { left } => {
                let taken = left.min(bytes.len());
                self.state = match left - taken {
                    0 => State::BodyEnd,
                    left => State::Body { left },
                };
                Ok(taken)
            }
            State::BodyEnd => self.check_literal(b"\r\n", bytes, State::End),
            State::End => self.check_literal(b"END\r\n", bytes, State::Done),
            State::Done if bytes.is_empty() => Ok(0),
            State::Done => Err(ProtocolError::Unsolicited),
        }
    }

    fn check_literal(&mut self, literal: &'static [u8], bytes: &[u8], next: State) -> Result<usize, ProtocolError> {
        if bytes.starts_with(literal) {
            self.state = next;
            Ok(literal.len())
        } else if literal.starts_with(bytes) {
            Ok(0)
        } else {
            Err(ProtocolError::UnexpectedReply)
        }
    }

    fn check_header(&mut self, line: &str) -> Result<State, ProtocolError> {
        match &self.expected {
            Expected::Value { .. } if line == "END" => return Ok(State::Done),
            Expected::Value { key, max_len } => {
                if let Some(value) = line.strip_prefix("VALUE ") {
                    return check_value_header(value, key, *max_len);
                }
            }
            Expected::Line(lines) if lines.contains(&line) => return Ok(State::Done),
            Expected::Version if line.starts_with("VERSION ") => return Ok(State::Done),
            Expected::Line(_) | Expected::Version => {}
        }
        let is_error = line == "ERROR" || line.starts_with("CLIENT_ERROR ") || line.starts_with("SERVER_ERROR ");
        if !is_error {
            return Err(ProtocolError::UnexpectedReply);
        }
        let error = ProtocolError::ServerError(line.chars().take(MAX_ERROR).collect());
        if matches!(self.expected, Expected::Line(_)) && line.starts_with("SERVER_ERROR ") {
            self.refusal = Some(error);
            return Ok(State::Done);
        }
        Err(error)
    }
}

/// Checks `<key> <flags> <bytes> <cas unique>`.
fn check_value_header(header: &str, key: &str, max_len: usize) -> Result<State, ProtocolError> {
    let mut words = header.split(' ');
    if words.next() != Some(key) {
        return Err(ProtocolError::WrongKey);
    }
    let mut number = || words.next().and_then(parse_number);
    let (Some(_flags), Some(len), Some(_cas)) = (number(), number(), number()) else {
        return Err(ProtocolError::UnexpectedReply);
    };
    if words.next().is_some() {
        return Err(ProtocolError::UnexpectedReply);
    }
    match usize::try_from(len) {
        Ok(0) => Ok(State::BodyEnd),
        Ok(left) if left <= max_len => Ok(State::Body { left }),
        _ => Err(ProtocolError::ValueTooLarge(len)),
    }
}

/// Digits only: `parse` alone would accept a sign.
fn parse_number(word: &str) -> Option<u64> {
    let is_digits = word.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits { word.parse().ok() } else { None }
}
