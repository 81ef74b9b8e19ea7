//! Strings, whole and in chunks.

use std::borrow::Cow;

use super::{Reader, argument, mismatch};
use crate::cbor::error::{DecodeError, DecodeKind};
use crate::cbor::head::{Head, Major};

impl<'a> Reader<'a> {
    /// Reads a string of that major type and of definite length. Reads nothing where another item comes next, or where the
    /// string is incomplete.
    #[inline]
    fn plain_string(&mut self, major: Major) -> Option<&'a [u8]> {
        let (&initial, rest) = self.rest.split_first()?;
        let (length, rest) = argument(initial ^ ((major as u8) << 5), rest)?;
        let (string, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(string)
    }

    /// As [`plain_string`](Self::plain_string), for a text string.
    pub(in crate::cbor) fn plain_text(&mut self) -> Option<&'a str> {
        let mut ahead = *self;
        let text = std::str::from_utf8(ahead.plain_string(Major::Text)?).ok()?;
        *self = ahead;
        Some(text)
    }

    /// Reads a text string of definite length.
    #[inline]
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        match self.plain_text() {
            Some(text) => Ok(text),
            None => self.any_text(),
        }
    }

    /// Reads a text string of definite length as bytes.
    #[inline]
    pub(crate) fn utf8(&mut self) -> Result<&'a [u8], DecodeError> {
        let before = self.rest;
        match self.plain_string(Major::Text) {
            // Checking for ASCII is faster than checking for UTF-8.
            Some(text) if text.is_ascii() => Ok(text),
            _ => {
                self.rest = before;
                self.any_text().map(str::as_bytes)
            }
        }
    }

    #[inline(never)]
    fn any_text(&mut self) -> Result<&'a str, DecodeError> {
        let at = self.position();
        let head = self.expect(Major::Text, "a text string")?;
        if head.is_indefinite() {
            return Err(mismatch(at, "a text string of definite length", head));
        }
        self.take_text(head.argument)
    }

    /// Reads a byte string of definite length.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        match self.plain_string(Major::Bytes) {
            Some(bytes) => Ok(bytes),
            None => self.any_bytes(),
        }
    }

    #[inline(never)]
    fn any_bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let at = self.position();
        let head = self.expect(Major::Bytes, "a byte string")?;
        if head.is_indefinite() {
            return Err(mismatch(at, "a byte string of definite length", head));
        }
        self.take(head.argument)
    }

    #[inline]
    fn take_text(&mut self, length: u64) -> Result<&'a str, DecodeError> {
        let at = self.position();
        let bytes = self.take(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(error) => Err(DecodeError::new(at + error.valid_up_to(), DecodeKind::Utf8)),
        }
    }

    /// Reads the text whose head was just read; borrowed unless it is in chunks.
    #[inline]
    pub(in crate::cbor) fn text_body(&mut self, head: Head) -> Result<Cow<'a, str>, DecodeError> {
        if !head.is_indefinite() {
            return self.take_text(head.argument).map(Cow::Borrowed);
        }
        let mut whole = String::new();
        while let Some(length) = self.chunk(Major::Text)? {
            whole.push_str(self.take_text(length)?);
        }
        Ok(Cow::Owned(whole))
    }

    /// Reads the bytes whose head was just read; borrowed unless they are in chunks.
    #[inline]
    pub(in crate::cbor) fn bytes_body(&mut self, head: Head) -> Result<Cow<'a, [u8]>, DecodeError> {
        if !head.is_indefinite() {
            return self.take(head.argument).map(Cow::Borrowed);
        }
        let mut whole = Vec::new();
        while let Some(length) = self.chunk(Major::Bytes)? {
            whole.extend_from_slice(self.take(length)?);
        }
        Ok(Cow::Owned(whole))
    }

    /// The length of the next chunk of a string of indefinite length, `None` at its end. Chunks do not nest (section 3.2.3).
    pub(super) fn chunk(&mut self, major: Major) -> Result<Option<u64>, DecodeError> {
        let at = self.position();
        let head = self.read_head()?;
        if head.is_break() {
            Ok(None)
        } else if head.major == major && !head.is_indefinite() {
            Ok(Some(head.argument))
        } else {
            Err(mismatch(at, "a chunk of the string or a break", head))
        }
    }
}
