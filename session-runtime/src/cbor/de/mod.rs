//! A deserializer, which represents serde's data model as ciborium does.

mod access;
mod integer;
mod string;

use serde::de::value::SeqDeserializer;
use serde::de::{self, Visitor};

use super::error::{DecodeError, DecodeKind};
use super::head::{BIG_NEGATIVE, BIG_POSITIVE, Head, Major, NULL, UNDEFINED};
use super::reader::{Reader, mismatch};
use super::{MAX_DEPTH, MAX_WRAPPERS, TAG_ENUM};
use access::{Enum, Items, Tagged};
use integer::below_zero;

type Result<T, E = DecodeError> = std::result::Result<T, E>;

pub(super) struct Deserializer<'de> {
    pub(super) reader: Reader<'de>,
    depth: u16,
    wrappers: u16,
}

impl<'de> Deserializer<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self {
            reader: Reader::new(bytes),
            depth: MAX_DEPTH,
            wrappers: MAX_WRAPPERS,
        }
    }

    pub(super) fn end(&self) -> Result<()> {
        self.reader.end()
    }

    /// Reads items one level down. The level is not restored after an error, since nothing is read after one.
    #[inline]
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let Some(depth) = self.depth.checked_sub(1) else {
            return Err(DecodeError::new(self.reader.position(), DecodeKind::TooDeep));
        };
        self.depth = depth;
        let value = read(self)?;
        self.depth += 1;
        Ok(value)
    }

    #[inline]
    pub(super) fn wrapped<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let Some(wrappers) = self.wrappers.checked_sub(1) else {
            return Err(DecodeError::new(self.reader.position(), DecodeKind::TooDeep));
        };
        self.wrappers = wrappers;
        let value = read(self)?;
        self.wrappers += 1;
        Ok(value)
    }

    /// The next head that is not a tag, and where it begins.
    #[inline]
    fn untagged_head(&mut self) -> Result<(usize, Head)> {
        loop {
            let at = self.reader.position();
            let head = self.reader.read_head()?;
            if head.major != Major::Tag {
                return Ok((at, head));
            }
        }
    }

    #[inline]
    fn expect(&mut self, major: Major, expected: &'static str) -> Result<Head> {
        let (at, head) = self.untagged_head()?;
        if head.major == major {
            Ok(head)
        } else {
            Err(mismatch(at, expected, head))
        }
    }

    #[inline]
    fn visit_array<V: Visitor<'de>>(&mut self, head: Head, visitor: V) -> Result<V::Value> {
        let left = self.reader.count(head)?;
        self.nested(|this| {
            let mut items = Items {
                deserializer: this,
                left,
            };
            let value = visitor.visit_seq(&mut items)?;
            items.end("the array")?;
            Ok(value)
        })
    }

    #[inline]
    fn visit_entries<V: Visitor<'de>>(&mut self, head: Head, visitor: V) -> Result<V::Value> {
        let left = self.reader.count(head)?;
        self.nested(|this| {
            let mut items = Items {
                deserializer: this,
                left,
            };
            let value = visitor.visit_map(&mut items)?;
            items.end("the map")?;
            Ok(value)
        })
    }

    fn visit_tag<V: Visitor<'de>>(&mut self, tag: Option<u64>, visitor: V) -> Result<V::Value> {
        self.nested(|this| visitor.visit_enum(Tagged::new(this, tag)))
    }

    fn visit_simple<V: Visitor<'de>>(at: usize, head: Head, visitor: V) -> Result<V::Value> {
        match (head.info, head.float()) {
            (_, Some(value)) => visitor.visit_f64(value),
            (20, _) => visitor.visit_bool(false),
            (21, _) => visitor.visit_bool(true),
            (22 | 23, _) => visitor.visit_none(),
            _ => Err(mismatch(at, "a value", head)),
        }
    }
}

macro_rules! forward {
    ($($method:ident => $to:ident($($argument:expr),*),)*) => {
        $(
            #[inline]
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
                self.$to($($argument,)* visitor)
            }
        )*
    };
}

impl<'de> de::Deserializer<'de> for &mut Deserializer<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let at = self.reader.position();
        let start = self.reader;
        let head = self.reader.read_head()?;
        match head.major {
            Major::Unsigned => visitor.visit_u64(head.argument),
            Major::Negative => match i64::try_from(head.argument) {
                Ok(magnitude) => visitor.visit_i64(!magnitude),
                Err(_) => visitor.visit_i128(!i128::from(head.argument)),
            },
            Major::Bytes => self.visit_bytes(head, visitor),
            Major::Text => self.visit_text(head, visitor),
            Major::Array => self.visit_array(head, visitor),
            Major::Map => self.visit_entries(head, visitor),
            Major::Tag => {
                let big = matches!(head.argument, BIG_POSITIVE | BIG_NEGATIVE);
                let mut ahead = self.reader;
                match ahead.bytes() {
                    Ok(bytes) if big && bytes.len() <= 16 => {
                        self.reader = start;
                        match self.integer()? {
                            (false, magnitude) => visitor.visit_u128(magnitude),
                            (true, magnitude) => visitor.visit_i128(below_zero(at, magnitude)?),
                        }
                    }
                    _ => self.visit_tag(Some(head.argument), visitor),
                }
            }
            Major::Simple => Deserializer::visit_simple(at, head, visitor),
        }
    }

    forward! {
        deserialize_u8 => visit_integer(false),
        deserialize_u16 => visit_integer(false),
        deserialize_u32 => visit_integer(false),
        deserialize_u64 => visit_integer(false),
        deserialize_i8 => visit_integer(true),
        deserialize_i16 => visit_integer(true),
        deserialize_i32 => visit_integer(true),
        deserialize_i64 => visit_integer(true),
        deserialize_f32 => deserialize_f64(),
        deserialize_string => deserialize_str(),
        deserialize_byte_buf => deserialize_bytes(),
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let at = self.reader.position();
        match self.integer()? {
            (false, magnitude) => visitor.visit_u128(magnitude),
            (true, magnitude) => visitor.visit_i128(below_zero(at, magnitude)?),
        }
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let at = self.reader.position();
        match self.integer()? {
            (false, magnitude) => match i128::try_from(magnitude) {
                Ok(value) => visitor.visit_i128(value),
                Err(_) => visitor.visit_u128(magnitude),
            },
            (true, magnitude) => visitor.visit_i128(below_zero(at, magnitude)?),
        }
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let (at, head) = self.untagged_head()?;
        match (head.major, head.info) {
            (Major::Simple, 20) => visitor.visit_bool(false),
            (Major::Simple, 21) => visitor.visit_bool(true),
            _ => Err(mismatch(at, "a boolean", head)),
        }
    }

    /// An integer is not accepted as a float, as in ciborium, so that a changed type is noticed.
    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let (at, head) = self.untagged_head()?;
        match head.float() {
            Some(value) => visitor.visit_f64(value),
            None => Err(mismatch(at, "a float", head)),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let (at, head) = self.untagged_head()?;
        if head.major != Major::Text {
            return Err(mismatch(at, "a text string of one character", head));
        }
        let text = self.reader.text_body(head)?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(only), None) => visitor.visit_char(only),
            _ => Err(mismatch(at, "a text string of one character", head)),
        }
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if let Some(text) = self.reader.plain_text() {
            return visitor.visit_borrowed_str(text);
        }
        self.visit_any_text(visitor)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let (at, head) = self.untagged_head()?;
        match head.major {
            Major::Bytes => self.visit_bytes(head, visitor),
            Major::Array => self.visit_array(head, visitor),
            _ => Err(mismatch(at, "a byte string", head)),
        }
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if let Some(text) = self.reader.plain_text() {
            return visitor.visit_borrowed_str(text);
        }
        self.visit_any_name(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if matches!(self.reader.peek(), Some(NULL | UNDEFINED)) {
            self.reader.advance();
            return visitor.visit_none();
        }
        self.wrapped(|this| visitor.visit_some(this))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let (at, head) = self.untagged_head()?;
        match (head.major, head.info) {
            (Major::Simple, 22 | 23) => visitor.visit_unit(),
            _ => Err(mismatch(at, "null", head)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value> {
        self.wrapped(|this| visitor.visit_newtype_struct(this))
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let (at, head) = self.untagged_head()?;
        match head.major {
            Major::Array => self.visit_array(head, visitor),
            Major::Bytes => {
                let bytes = self.reader.bytes_body(head)?;
                let mut items = SeqDeserializer::new(bytes.iter().copied());
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
            _ => Err(mismatch(at, "an array", head)),
        }
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let head = self.expect(Major::Map, "a map")?;
        self.visit_entries(head, visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if name == TAG_ENUM {
            let tagged = self
                .reader
                .peek()
                .is_some_and(|initial| initial >> 5 == Major::Tag as u8);
            let tag = if tagged { Some(self.reader.tag()?) } else { None };
            return self.visit_tag(tag, visitor);
        }
        let (at, head) = self.untagged_head()?;
        match head.major {
            Major::Text => visitor.visit_enum(Enum::unit(self, at, head)),
            Major::Map if head.is_indefinite() || head.argument == 1 => {
                self.nested(|this| visitor.visit_enum(Enum::with_content(this, at, head)))
            }
            _ => Err(mismatch(at, "a variant's name or a map of one entry", head)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.reader.skip_within(self.depth)?;
        visitor.visit_unit()
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}
