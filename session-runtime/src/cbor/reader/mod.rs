//! A cursor over the items of CBOR bytes.

mod skip;
mod string;

use std::fmt;

use super::error::{DecodeError, DecodeKind};
use super::head::{Head, Major};

/// A cursor over CBOR bytes. It never returns a length or count that exceeds the bytes that remain.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    total: usize,
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("position", &self.position())
            .field("total", &self.total)
            .finish()
    }
}

impl<'a> Reader<'a> {
    /// A cursor at the first of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            total: bytes.len(),
        }
    }

    /// How many bytes have been read.
    #[inline]
    pub fn position(&self) -> usize {
        self.total - self.rest.len()
    }

    /// How many bytes remain.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Fails unless every byte has been read.
    #[inline]
    pub fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.error(DecodeKind::Trailing(self.rest.len())))
        }
    }

    #[cold]
    fn error(&self, kind: DecodeKind) -> DecodeError {
        DecodeError::new(self.position(), kind)
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Skips the byte that [`peek`](Self::peek) returned.
    #[inline]
    pub(super) fn advance(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// Reads the next head.
    #[inline]
    pub fn read_head(&mut self) -> Result<Head, DecodeError> {
        let Some((&initial, rest)) = self.rest.split_first() else {
            return Err(self.error(DecodeKind::End));
        };
        let (major, info) = (Major::of(initial), initial & 0x1f);
        let (argument, rest) = match argument(info, rest) {
            Some(found) => found,
            None => self.no_argument(major, initial)?,
        };
        // Section 3.3: a simple value below 32 has no two-byte form.
        if major == Major::Simple && info == 24 && argument < 32 {
            return Err(self.error(DecodeKind::Head(initial)));
        }
        self.rest = rest;
        Ok(Head { major, info, argument })
    }

    /// The argument of an indefinite length or a break, which is 0; an error for any other head without an argument.
    #[cold]
    #[inline(never)]
    fn no_argument(&self, major: Major, initial: u8) -> Result<(u64, &'a [u8]), DecodeError> {
        match initial & 0x1f {
            31 if !matches!(major, Major::Unsigned | Major::Negative | Major::Tag) => {
                Ok((0, self.rest.get(1..).unwrap_or_default()))
            }
            ..28 => Err(self.error(DecodeKind::End)),
            _ => Err(self.error(DecodeKind::Head(initial))),
        }
    }

    /// Reads a head, and fails unless it is of that major type.
    #[inline]
    pub(super) fn expect(&mut self, major: Major, expected: &'static str) -> Result<Head, DecodeError> {
        let at = self.position();
        let head = self.read_head()?;
        if head.major == major {
            Ok(head)
        } else {
            Err(mismatch(at, expected, head))
        }
    }

    /// Reads the content of a string of that length.
    #[inline]
    pub(super) fn take(&mut self, length: u64) -> Result<&'a [u8], DecodeError> {
        match usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length))
        {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.error(DecodeKind::Length {
                claimed: length,
                remaining: self.rest.len(),
            })),
        }
    }

    /// The number of items of an array, or of entries of a map; `None` where its length is indefinite.
    #[inline]
    pub(super) fn count(&self, head: Head) -> Result<Option<usize>, DecodeError> {
        if head.is_indefinite() {
            return Ok(None);
        }
        // An item takes at least one byte, an entry two.
        let most = if head.major == Major::Map {
            self.rest.len() / 2
        } else {
            self.rest.len()
        };
        match usize::try_from(head.argument) {
            Ok(count) if count <= most => Ok(Some(count)),
            _ => Err(self.error(DecodeKind::Length {
                claimed: head.argument,
                remaining: self.rest.len(),
            })),
        }
    }

    /// Reads an unsigned integer.
    #[inline]
    pub fn uint(&mut self) -> Result<u64, DecodeError> {
        // The fast path: the two most frequent forms.
        if let Some((&initial, rest)) = self.rest.split_first() {
            if initial < 24 {
                self.rest = rest;
                return Ok(u64::from(initial));
            }
            if let (0x1b, Some((value, rest))) = (initial, rest.split_first_chunk()) {
                self.rest = rest;
                return Ok(u64::from_be_bytes(*value));
            }
        }
        self.any_uint()
    }

    #[inline(never)]
    fn any_uint(&mut self) -> Result<u64, DecodeError> {
        self.expect(Major::Unsigned, "an unsigned integer")
            .map(|head| head.argument)
    }

    /// Reads a tag's number, which the tagged item follows.
    pub fn tag(&mut self) -> Result<u64, DecodeError> {
        self.expect(Major::Tag, "a tag").map(|head| head.argument)
    }

    /// Skips `bytes`, if they come next.
    #[inline]
    pub(crate) fn skip_prefix(&mut self, bytes: &[u8]) -> bool {
        match self.rest.strip_prefix(bytes) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Reads an untagged integer: whether it is negative, and its argument. Reads nothing where another item comes next.
    #[inline]
    pub(super) fn plain_integer(&mut self) -> Option<(bool, u64)> {
        const NEGATIVE: u8 = (Major::Negative as u8) << 5;
        let (&initial, rest) = self.rest.split_first()?;
        let (argument, rest) = argument(initial & !NEGATIVE, rest)?;
        self.rest = rest;
        Some((initial & NEGATIVE != 0, argument))
    }

    /// Reads the head of an array of definite length, and returns the number of items, at most the bytes that remain.
    pub fn array(&mut self) -> Result<usize, DecodeError> {
        self.definite(Major::Array, "an array", "an array of definite length")
    }

    /// Reads the head of a map of definite length, and returns the number of entries, at most half the bytes that remain.
    pub fn map(&mut self) -> Result<usize, DecodeError> {
        self.definite(Major::Map, "a map", "a map of definite length")
    }

    /// Reads the head of an array of exactly `expected` items.
    pub fn expect_array(&mut self, expected: usize) -> Result<(), DecodeError> {
        let at = self.position();
        let found = self.array()?;
        if found == expected {
            Ok(())
        } else {
            Err(DecodeError::new(at, DecodeKind::Count { expected, found }))
        }
    }

    #[inline]
    fn definite(&mut self, major: Major, expected: &'static str, definite: &'static str) -> Result<usize, DecodeError> {
        if let Some((&initial, rest)) = self.rest.split_first() {
            let count = usize::from(initial ^ ((major as u8) << 5));
            if count < 24 && 2 * count <= rest.len() {
                self.rest = rest;
                return Ok(count);
            }
        }
        self.any_definite(major, expected, definite)
    }

    #[inline(never)]
    fn any_definite(
        &mut self,
        major: Major,
        expected: &'static str,
        definite: &'static str,
    ) -> Result<usize, DecodeError> {
        let at = self.position();
        let head = self.expect(major, expected)?;
        self.count(head)?.ok_or_else(|| mismatch(at, definite, head))
    }
}

/// The argument of a head with these low five bits, and the bytes after it; `None` where there is none.
#[inline]
fn argument(info: u8, rest: &[u8]) -> Option<(u64, &[u8])> {
    match info {
        0..24 => Some((info.into(), rest)),
        24 => rest.split_first().map(|(n, rest)| (u64::from(*n), rest)),
        25 => rest
            .split_first_chunk()
            .map(|(n, rest)| (u64::from(u16::from_be_bytes(*n)), rest)),
        26 => rest
            .split_first_chunk()
            .map(|(n, rest)| (u64::from(u32::from_be_bytes(*n)), rest)),
        27 => rest.split_first_chunk().map(|(n, rest)| (u64::from_be_bytes(*n), rest)),
        _ => None,
    }
}

#[cold]
#[inline(never)]
pub(super) fn mismatch(at: usize, expected: &'static str, found: Head) -> DecodeError {
    DecodeError::new(
        at,
        DecodeKind::Mismatch {
            expected,
            found: found.describe(),
        },
    )
}
