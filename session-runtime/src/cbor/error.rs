//! Errors of decoding, with the byte at which they occurred, and of encoding.
//!
//! No error contains a value, which may be secret: of a value that does not fit, only the kind is named.

use std::fmt::{self, Display, Formatter};

use serde::de::{Expected, Unexpected};

/// Bytes that cannot be decoded as the expected type.
pub struct DecodeError(Box<Located>);

struct Located {
    /// `None` until the error reaches a caller that knows the position.
    position: Option<usize>,
    kind: DecodeKind,
}

#[derive(Debug)]
pub(super) enum DecodeKind {
    End,
    Head(u8),
    Length {
        claimed: u64,
        remaining: usize,
    },
    Mismatch {
        expected: &'static str,
        found: &'static str,
    },
    Unread {
        expected: &'static str,
    },
    Count {
        expected: usize,
        found: usize,
    },
    Utf8,
    BigInteger,
    TooDeep,
    Trailing(usize),
    Message(String),
}

impl DecodeError {
    #[cold]
    #[inline(never)]
    pub(super) fn new(position: usize, kind: DecodeKind) -> Self {
        Self(Box::new(Located {
            position: Some(position),
            kind,
        }))
    }

    /// Sets the position, unless it has one.
    #[cold]
    #[inline(never)]
    pub(super) fn at(mut self, position: usize) -> Self {
        self.0.position.get_or_insert(position);
        self
    }

    /// The offset from the start of the input, in bytes, of the item that does not fit.
    pub fn position(&self) -> usize {
        self.0.position.unwrap_or(0)
    }

    #[cold]
    fn message(message: String) -> Self {
        Self(Box::new(Located {
            position: None,
            kind: DecodeKind::Message(message),
        }))
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodeError")
            .field("position", &self.position())
            .field("kind", &self.0.kind)
            .finish()
    }
}

impl Display for DecodeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            DecodeKind::End => f.write_str("the input ends inside an item"),
            DecodeKind::Head(byte) => write!(f, "{byte:#04x} does not begin a well-formed item here"),
            DecodeKind::Length { claimed, remaining } => {
                write!(
                    f,
                    "a length of {claimed} does not fit in the {remaining} bytes that remain"
                )
            }
            DecodeKind::Mismatch { expected, found } => write!(f, "expected {expected}, found {found}"),
            DecodeKind::Unread { expected } => write!(f, "expected the end of {expected}, found more items"),
            DecodeKind::Count { expected, found } => write!(f, "expected an array of {expected}, found one of {found}"),
            DecodeKind::Utf8 => f.write_str("expected a text string, found one that is not UTF-8"),
            DecodeKind::BigInteger => f.write_str("expected an integer, found one that is out of range"),
            DecodeKind::TooDeep => write!(f, "nested more than {} deep", super::MAX_DEPTH),
            DecodeKind::Trailing(count) => write!(f, "expected the end of the input, found {count} more bytes"),
            DecodeKind::Message(message) => f.write_str(message),
        }?;
        write!(f, ", at byte {}", self.position())
    }
}

impl std::error::Error for DecodeError {}

impl serde::de::Error for DecodeError {
    fn custom<T: Display>(message: T) -> Self {
        Self::message(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::message(format!("expected {expected}, found {}", kind_of(&found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::message(format!("expected {expected}, found another {}", kind_of(&found)))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::message(format!("unknown variant, expected {}", OneOf(expected)))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::message(format!("unknown field, expected {}", OneOf(expected)))
    }
}

/// The kind alone: serde's own text quotes the value.
fn kind_of(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "integer",
        Unexpected::Float(_) => "float",
        Unexpected::Char(_) | Unexpected::Str(_) => "text string",
        Unexpected::Bytes(_) => "byte string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::NewtypeStruct => "newtype struct",
        Unexpected::Seq => "array",
        Unexpected::Map => "map",
        Unexpected::Enum => "tag or enum",
        Unexpected::UnitVariant => "unit variant",
        Unexpected::NewtypeVariant => "newtype variant",
        Unexpected::TupleVariant => "tuple variant",
        Unexpected::StructVariant => "struct variant",
        Unexpected::Other(_) => "value",
    }
}

struct OneOf(&'static [&'static str]);

impl Display for OneOf {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, name) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}`{name}`")?;
        }
        Ok(())
    }
}

/// A value that cannot be encoded.
pub struct EncodeError(Box<EncodeKind>);

#[derive(Debug)]
pub(super) enum EncodeKind {
    TooDeep,
    DuplicateKey,
    /// A `Serialize` that does not call for keys and values in turn.
    Unpaired,
    /// A `Serialize` that ignores an error and continues.
    IgnoredError,
    Tag,
    Message(String),
}

impl EncodeError {
    #[cold]
    pub(super) fn new(kind: EncodeKind) -> Self {
        Self(Box::new(kind))
    }
}

impl fmt::Debug for EncodeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EncodeError").field(&self.0).finish()
    }
}

impl Display for EncodeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            EncodeKind::TooDeep => write!(f, "the value nests more than {} deep", super::MAX_DEPTH),
            EncodeKind::DuplicateKey => f.write_str("a map has two entries with the same key"),
            EncodeKind::Unpaired => f.write_str("a map has a key without a value, or a value without a key"),
            EncodeKind::IgnoredError => {
                f.write_str("a part of the value failed, and its `Serialize` ignored the error")
            }
            EncodeKind::Tag => f.write_str("a tag is not an unsigned integer"),
            EncodeKind::Message(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for EncodeError {}

impl serde::ser::Error for EncodeError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(EncodeKind::Message(message.to_string()))
    }
}
