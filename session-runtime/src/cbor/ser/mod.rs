//! A serializer, which represents serde's data model as ciborium does.

mod compound;

use serde::ser::{self, Serialize};

use super::error::{EncodeError, EncodeKind};
use super::head::{self, BIG_NEGATIVE, BIG_POSITIVE, FALSE, Major, NULL, TRUE};
use super::{MAX_DEPTH, MAX_WRAPPERS, TAG_ENUM, TAGGED, UNTAGGED, float};
use compound::{Entry, Map, Sequence};

type Result<T = (), E = EncodeError> = std::result::Result<T, E>;

pub(super) struct Serializer<'o> {
    pub(super) out: &'o mut Vec<u8>,
    /// Where the entries of the unfinished maps lie in `out`; those of the innermost map come last.
    pub(super) entries: Vec<Entry>,
    pub(super) depth: u16,
    wrappers: u16,
    /// Whether a part of the value failed. If its `Serialize` ignores that, the value as a whole fails all the same.
    pub(super) has_failed: bool,
}

impl<'o> Serializer<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            entries: Vec::new(),
            depth: MAX_DEPTH,
            wrappers: MAX_WRAPPERS,
            has_failed: false,
        }
    }

    /// Fails where a part failed and the error was ignored.
    pub(super) fn end(&self) -> Result {
        if self.has_failed {
            return Err(EncodeError::new(EncodeKind::IgnoredError));
        }
        Ok(())
    }

    /// Writes an item of an array, or a key or value of a map.
    #[inline]
    pub(super) fn serialize_part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        value.serialize(&mut *self).inspect_err(|_| self.has_failed = true)
    }

    /// Goes one level down. The caller goes up again at the end of the level.
    #[inline]
    fn enter(&mut self) -> Result {
        match self.depth.checked_sub(1) {
            Some(depth) => {
                self.depth = depth;
                Ok(())
            }
            None => Err(EncodeError::new(EncodeKind::TooDeep)),
        }
    }

    #[inline]
    fn wrapped<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        let Some(wrappers) = self.wrappers.checked_sub(1) else {
            return Err(EncodeError::new(EncodeKind::TooDeep));
        };
        self.wrappers = wrappers;
        value.serialize(&mut *self)?;
        self.wrappers += 1;
        Ok(())
    }

    /// Begins the map of one entry that represents a variant with content.
    #[inline]
    fn variant(&mut self, variant: &str) -> Result {
        self.enter()?;
        head::push_map(self.out, 1);
        head::push_text(self.out, variant);
        Ok(())
    }

    fn big_integer(&mut self, tag: u64, magnitude: u128) {
        let bytes = magnitude.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        head::push_tag(self.out, tag);
        head::push_bytes(self.out, bytes.get(zeros..).unwrap_or_default());
    }

    #[inline]
    fn sequence(&mut self, claimed: Option<usize>, levels: u16) -> Result<Sequence<'_, 'o>> {
        self.enter()?;
        let head = self.out.len();
        head::push_array(self.out, claimed.unwrap_or(0));
        Ok(Sequence {
            serializer: self,
            head,
            claimed: claimed.unwrap_or(0),
            written: 0,
            levels,
        })
    }

    #[inline]
    fn map(&mut self, claimed: Option<usize>, levels: u16) -> Result<Map<'_, 'o>> {
        self.enter()?;
        let head = self.out.len();
        head::push_map(self.out, claimed.unwrap_or(0));
        // The announced length may be wrong, so that it reserves only a little.
        self.entries.reserve(claimed.unwrap_or(0).min(32));
        Ok(Map::new(self, head, claimed.unwrap_or(0), levels))
    }
}

macro_rules! integers {
    ($($method:ident: $from:ty => $into:ident: $wide:ty,)*) => {
        $(
            #[inline]
            fn $method(self, value: $from) -> Result {
                self.$into(<$wide>::from(value))
            }
        )*
    };
}

impl<'s, 'o> ser::Serializer for &'s mut Serializer<'o> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Sequence<'s, 'o>;
    type SerializeTuple = Sequence<'s, 'o>;
    type SerializeTupleStruct = Sequence<'s, 'o>;
    type SerializeTupleVariant = Sequence<'s, 'o>;
    type SerializeMap = Map<'s, 'o>;
    type SerializeStruct = Map<'s, 'o>;
    type SerializeStructVariant = Map<'s, 'o>;

    integers! {
        serialize_u8: u8 => serialize_u64: u64,
        serialize_u16: u16 => serialize_u64: u64,
        serialize_u32: u32 => serialize_u64: u64,
        serialize_i8: i8 => serialize_i64: i64,
        serialize_i16: i16 => serialize_i64: i64,
        serialize_i32: i32 => serialize_i64: i64,
        serialize_f32: f32 => serialize_f64: f64,
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result {
        self.out.push(if value { TRUE } else { FALSE });
        Ok(())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result {
        head::push_uint(self.out, value);
        Ok(())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result {
        match u64::try_from(value) {
            Ok(value) => head::push_uint(self.out, value),
            Err(_) => head::push_head(self.out, Major::Negative, (!value).cast_unsigned()),
        }
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Result {
        match u64::try_from(value) {
            Ok(value) => head::push_uint(self.out, value),
            Err(_) => self.big_integer(BIG_POSITIVE, value),
        }
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result {
        let Err(_) = u128::try_from(value) else {
            return self.serialize_u128(value.cast_unsigned());
        };
        let magnitude = (!value).cast_unsigned();
        match u64::try_from(magnitude) {
            Ok(magnitude) => head::push_head(self.out, Major::Negative, magnitude),
            Err(_) => self.big_integer(BIG_NEGATIVE, magnitude),
        }
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result {
        float::push(self.out, value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result {
        head::push_text(self.out, value);
        Ok(())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result {
        head::push_bytes(self.out, value);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result {
        self.out.push(NULL);
        Ok(())
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        self.wrapped(value)
    }

    #[inline]
    fn serialize_unit(self) -> Result {
        self.serialize_none()
    }

    #[inline]
    fn serialize_unit_struct(self, _name: &'static str) -> Result {
        self.serialize_none()
    }

    #[inline]
    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Result {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Result {
        self.wrapped(value)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result {
        if name == TAG_ENUM && variant == UNTAGGED {
            return self.wrapped(value);
        }
        self.variant(variant)?;
        value.serialize(&mut *self)?;
        self.depth += 1;
        Ok(())
    }

    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Sequence<'s, 'o>> {
        self.sequence(length, 1)
    }

    #[inline]
    fn serialize_tuple(self, length: usize) -> Result<Sequence<'s, 'o>> {
        self.sequence(Some(length), 1)
    }

    #[inline]
    fn serialize_tuple_struct(self, _name: &'static str, length: usize) -> Result<Sequence<'s, 'o>> {
        self.sequence(Some(length), 1)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Sequence<'s, 'o>> {
        if name == TAG_ENUM && variant == TAGGED {
            self.enter()?;
            return Ok(Sequence::tagged(self));
        }
        self.variant(variant)?;
        self.sequence(Some(length), 2)
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Map<'s, 'o>> {
        self.map(length, 1)
    }

    #[inline]
    fn serialize_struct(self, _name: &'static str, length: usize) -> Result<Map<'s, 'o>> {
        self.map(Some(length), 1)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<Map<'s, 'o>> {
        self.variant(variant)?;
        self.map(Some(length), 2)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}
