//! Strings, passed to a visitor borrowed unless they are in chunks.

use std::borrow::Cow;

use serde::de::Visitor;

use super::{Deserializer, Result};
use crate::cbor::head::{Head, Major};
use crate::cbor::reader::mismatch;

impl<'de> Deserializer<'de> {
    /// A text string in chunks or with tags; an error for any other item.
    #[cold]
    pub(super) fn visit_any_text<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let head = self.expect(Major::Text, "a text string")?;
        self.visit_text(head, visitor)
    }

    /// As [`visit_any_text`](Self::visit_any_text), for a name, which may also be a byte string.
    #[cold]
    pub(super) fn visit_any_name<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let (at, head) = self.untagged_head()?;
        match head.major {
            Major::Text => self.visit_text(head, visitor),
            Major::Bytes => self.visit_bytes(head, visitor),
            _ => Err(mismatch(at, "a name", head)),
        }
    }

    #[inline]
    pub(super) fn visit_text<V: Visitor<'de>>(&mut self, head: Head, visitor: V) -> Result<V::Value> {
        match self.reader.text_body(head)? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    #[inline]
    pub(super) fn visit_bytes<V: Visitor<'de>>(&mut self, head: Head, visitor: V) -> Result<V::Value> {
        match self.reader.bytes_body(head)? {
            Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
            Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
        }
    }
}
