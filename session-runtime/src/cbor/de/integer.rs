//! Integers: of up to 64 bits in a head, of up to 128 bits in a tagged byte string (RFC 8949, section 3.4.3).

use serde::de::Visitor;

use super::Deserializer;
use crate::cbor::error::{DecodeError, DecodeKind};
use crate::cbor::head::{BIG_NEGATIVE, BIG_POSITIVE, Head, Major};
use crate::cbor::reader::mismatch;

type Result<T, E = DecodeError> = std::result::Result<T, E>;

impl<'de> Deserializer<'de> {
    /// Reads an integer: whether it is negative, and its value, or -1 minus its value where it is negative.
    #[inline]
    pub(in crate::cbor) fn integer(&mut self) -> Result<(bool, u128)> {
        let at = self.reader.position();
        let head = self.reader.read_head()?;
        match head.major {
            Major::Unsigned => Ok((false, head.argument.into())),
            Major::Negative => Ok((true, head.argument.into())),
            Major::Tag => self.tagged_integer(head),
            _ => Err(mismatch(at, "an integer", head)),
        }
    }

    fn tagged_integer(&mut self, mut head: Head) -> Result<(bool, u128)> {
        loop {
            let negative = match (head.major, head.argument) {
                (Major::Unsigned, n) => return Ok((false, n.into())),
                (Major::Negative, n) => return Ok((true, n.into())),
                (Major::Tag, BIG_POSITIVE) => Some(false),
                (Major::Tag, BIG_NEGATIVE) => Some(true),
                _ => None,
            };
            let at = self.reader.position();
            if let Some(negative) = negative {
                let head = self.reader.expect(Major::Bytes, "the bytes of an integer")?;
                let bytes = self.reader.bytes_body(head)?;
                let significant = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
                let digits = bytes.get(significant..).unwrap_or_default();
                if digits.len() > 16 {
                    return Err(DecodeError::new(at, DecodeKind::BigInteger));
                }
                return Ok((
                    negative,
                    digits.iter().fold(0, |number, byte| number << 8 | u128::from(*byte)),
                ));
            }
            head = self.reader.read_head()?;
            if !matches!(head.major, Major::Unsigned | Major::Negative | Major::Tag) {
                return Err(mismatch(at, "an integer", head));
            }
        }
    }

    /// Passes an integer of up to 64 bits to the visitor. One above `i64::MAX` is passed as a `u64` even where an `i64` was
    /// asked for, so that the visitor rejects it.
    #[inline]
    pub(in crate::cbor) fn visit_integer<V: Visitor<'de>>(&mut self, signed: bool, visitor: V) -> Result<V::Value> {
        let at = self.reader.position();
        let (negative, n) = match self.reader.plain_integer() {
            Some(plain) => plain,
            None => self.narrow_integer()?,
        };
        match (negative, i64::try_from(n)) {
            (false, Ok(n)) if signed => visitor.visit_i64(n),
            (false, _) => visitor.visit_u64(n),
            (true, Ok(n)) => visitor.visit_i64(!n),
            (true, Err(_)) => Err(DecodeError::new(at, DecodeKind::BigInteger)),
        }
    }

    /// As [`integer`](Self::integer), of up to 64 bits.
    #[cold]
    fn narrow_integer(&mut self) -> Result<(bool, u64)> {
        let at = self.reader.position();
        let (negative, magnitude) = self.integer()?;
        match u64::try_from(magnitude) {
            Ok(n) => Ok((negative, n)),
            Err(_) => Err(DecodeError::new(at, DecodeKind::BigInteger)),
        }
    }
}

pub(in crate::cbor) fn below_zero(at: usize, magnitude: u128) -> Result<i128> {
    match i128::try_from(magnitude) {
        Ok(magnitude) => Ok(!magnitude),
        Err(_) => Err(DecodeError::new(at, DecodeKind::BigInteger)),
    }
}
