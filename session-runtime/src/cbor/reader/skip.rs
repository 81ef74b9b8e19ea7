//! Skipping items.

use super::{Reader, mismatch};
use crate::cbor::MAX_DEPTH;
use crate::cbor::error::{DecodeError, DecodeKind};
use crate::cbor::head::{BREAK, Major};

impl<'a> Reader<'a> {
    /// Skips one item of any kind, and returns its bytes.
    ///
    /// # Errors
    /// When the item is not well-formed (RFC 8949, appendix C) or nests deeper than [`MAX_DEPTH`].
    pub fn skip(&mut self) -> Result<&'a [u8], DecodeError> {
        let before = self.rest;
        self.skip_within(MAX_DEPTH)?;
        Ok(before.get(..before.len() - self.rest.len()).unwrap_or_default())
    }

    /// Skips one item that nests at most `depth` deep, which bounds the recursion.
    pub(in crate::cbor) fn skip_within(&mut self, depth: u16) -> Result<(), DecodeError> {
        let at = self.position();
        let head = self.read_head()?;
        if head.is_break() {
            return Err(mismatch(at, "an item", head));
        }
        let items = match head.major {
            Major::Unsigned | Major::Negative | Major::Simple => return Ok(()),
            Major::Bytes | Major::Text if !head.is_indefinite() => return self.take(head.argument).map(drop),
            Major::Bytes | Major::Text => {
                while let Some(length) = self.chunk(head.major)? {
                    self.take(length)?;
                }
                return Ok(());
            }
            Major::Tag => Some(1),
            Major::Array => self.count(head)?,
            Major::Map => self.count(head)?.map(|entries| 2 * entries),
        };
        let Some(depth) = depth.checked_sub(1) else {
            return Err(DecodeError::new(at, DecodeKind::TooDeep));
        };
        if let Some(items) = items {
            return (0..items).try_for_each(|_| self.skip_within(depth));
        }
        while self.peek() != Some(BREAK) {
            self.skip_within(depth)?;
            if head.major == Major::Map {
                self.skip_within(depth)?;
            }
        }
        self.advance();
        Ok(())
    }
}
