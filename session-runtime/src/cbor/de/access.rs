//! Arrays, maps, enums and tags, as a visitor accesses them.

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer, U64Deserializer};
use serde::de::{
    DeserializeSeed, Deserializer as _, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::Deserializer;
use crate::cbor::error::{DecodeError, DecodeKind};
use crate::cbor::head::{BREAK, Head};
use crate::cbor::reader::mismatch;
use crate::cbor::{TAGGED, UNTAGGED};

type Result<T, E = DecodeError> = std::result::Result<T, E>;

/// The items of an array, or the entries of a map.
pub(in crate::cbor) struct Items<'a, 'de> {
    pub(in crate::cbor) deserializer: &'a mut Deserializer<'de>,
    /// `None` where the length is indefinite.
    pub(in crate::cbor) left: Option<usize>,
}

impl<'de> Items<'_, 'de> {
    #[inline]
    fn has_more(&mut self) -> bool {
        if let Some(left) = &mut self.left {
            let more = *left > 0;
            *left -= usize::from(more);
            return more;
        }
        if self.deserializer.reader.peek() != Some(BREAK) {
            return true;
        }
        self.deserializer.reader.advance();
        self.left = Some(0);
        false
    }

    #[inline]
    fn read<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        let at = self.deserializer.reader.position();
        seed.deserialize(&mut *self.deserializer).map_err(|error| error.at(at))
    }

    /// Fails where the visitor left items unread: they would be read as what follows.
    #[inline]
    pub(in crate::cbor) fn end(mut self, expected: &'static str) -> Result<()> {
        let at = self.deserializer.reader.position();
        if self.has_more() {
            Err(DecodeError::new(at, DecodeKind::Unread { expected }))
        } else {
            Ok(())
        }
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.has_more() {
            self.read(seed).map(Some)
        } else {
            Ok(None)
        }
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.left
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.has_more() {
            self.read(seed).map(Some)
        } else {
            Ok(None)
        }
    }

    #[inline]
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        self.read(seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.left
    }
}

/// An enum: the name of a variant, or a map of one entry from the name to the content.
pub(in crate::cbor) struct Enum<'a, 'de> {
    deserializer: &'a mut Deserializer<'de>,
    /// Where the enum begins. Its head is below.
    at: usize,
    head: Head,
    has_content: bool,
}

impl<'a, 'de> Enum<'a, 'de> {
    pub(in crate::cbor) fn unit(deserializer: &'a mut Deserializer<'de>, at: usize, head: Head) -> Self {
        Self {
            deserializer,
            at,
            head,
            has_content: false,
        }
    }

    pub(in crate::cbor) fn with_content(deserializer: &'a mut Deserializer<'de>, at: usize, head: Head) -> Self {
        Self {
            deserializer,
            at,
            head,
            has_content: true,
        }
    }

    fn content<T>(self, read: impl FnOnce(&mut Deserializer<'de>) -> Result<T>) -> Result<T> {
        if !self.has_content {
            return Err(mismatch(self.at, "a map of one entry", self.head));
        }
        let at = self.deserializer.reader.position();
        let value = read(self.deserializer).map_err(|error| error.at(at))?;
        if self.head.is_indefinite() {
            let at = self.deserializer.reader.position();
            if self.deserializer.reader.peek() != Some(BREAK) {
                return Err(DecodeError::new(
                    at,
                    DecodeKind::Unread {
                        expected: "a map of one entry",
                    },
                ));
            }
            self.deserializer.reader.advance();
        }
        Ok(value)
    }
}

impl<'de> EnumAccess<'de> for Enum<'_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self)> {
        let variant = if self.has_content {
            seed.deserialize(&mut *self.deserializer)
        } else {
            match self.deserializer.reader.text_body(self.head)? {
                std::borrow::Cow::Borrowed(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
                std::borrow::Cow::Owned(name) => seed.deserialize(name.into_deserializer()),
            }
        };
        let at = self.at;
        Ok((variant.map_err(|error: DecodeError| error.at(at))?, self))
    }
}

impl<'de> VariantAccess<'de> for Enum<'_, 'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<()> {
        if self.has_content {
            self.content(|de| <() as serde::Deserialize>::deserialize(de))
        } else {
            Ok(())
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        self.content(|de| seed.deserialize(de))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value> {
        self.content(|de| de.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, _fields: &'static [&'static str], visitor: V) -> Result<V::Value> {
        self.content(|de| de.deserialize_map(visitor))
    }
}

/// A tag, represented as in ciborium: an enum whose variant tells whether there is a tag, around a tuple of the number and
/// the item.
pub(in crate::cbor) struct Tagged<'a, 'de> {
    deserializer: &'a mut Deserializer<'de>,
    tag: Option<u64>,
    items: u8,
}

impl<'a, 'de> Tagged<'a, 'de> {
    pub(in crate::cbor) fn new(deserializer: &'a mut Deserializer<'de>, tag: Option<u64>) -> Self {
        Self {
            deserializer,
            tag,
            items: 0,
        }
    }

    fn read<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value> {
        let at = self.deserializer.reader.position();
        seed.deserialize(&mut *self.deserializer).map_err(|error| error.at(at))
    }
}

impl<'de> EnumAccess<'de> for Tagged<'_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self)> {
        let name = if self.tag.is_some() { TAGGED } else { UNTAGGED };
        let variant: StrDeserializer<'_, DecodeError> = name.into_deserializer();
        Ok((seed.deserialize(variant)?, self))
    }
}

impl<'de> VariantAccess<'de> for Tagged<'_, 'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<()> {
        Err(serde::de::Error::custom("expected a tagged item"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(mut self, seed: T) -> Result<T::Value> {
        self.read(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value> {
        visitor.visit_seq(self)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value> {
        Err(serde::de::Error::custom("expected a tagged item"))
    }
}

impl<'de> SeqAccess<'de> for Tagged<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        self.items = self.items.saturating_add(1);
        match (self.items, self.tag) {
            (1, Some(tag)) => seed.deserialize(U64Deserializer::<DecodeError>::new(tag)).map(Some),
            (2, _) => self.read(seed).map(Some),
            _ => Ok(None),
        }
    }
}
