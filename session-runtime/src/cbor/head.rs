//! The heads of CBOR items (RFC 8949, section 3), and functions that append them.

use super::float;

/// The major type of an item (section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Major {
    /// The argument, as an integer.
    Unsigned = 0,
    /// -1 minus the argument, as an integer.
    Negative = 1,
    /// A byte string.
    Bytes = 2,
    /// A text string.
    Text = 3,
    /// An array.
    Array = 4,
    /// A map.
    Map = 5,
    /// A tag, followed by the tagged item.
    Tag = 6,
    /// A boolean, null, undefined, another simple value, a float or the break.
    Simple = 7,
}

impl Major {
    #[inline]
    pub(super) fn of(initial: u8) -> Self {
        match initial >> 5 {
            0 => Self::Unsigned,
            1 => Self::Negative,
            2 => Self::Bytes,
            3 => Self::Text,
            4 => Self::Array,
            5 => Self::Map,
            6 => Self::Tag,
            _ => Self::Simple,
        }
    }
}

pub(super) const FALSE: u8 = 0xf4;
pub(super) const TRUE: u8 = 0xf5;
pub(super) const NULL: u8 = 0xf6;
pub(super) const UNDEFINED: u8 = 0xf7;
pub(super) const BREAK: u8 = 0xff;
/// Tags of integers beyond 64 bits (section 3.4.3).
pub(super) const BIG_POSITIVE: u64 = 2;
pub(super) const BIG_NEGATIVE: u64 = 3;

/// The head of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The major type.
    pub major: Major,
    /// The low five bits of the first byte, which tell how the argument is encoded.
    pub info: u8,
    /// The value, the length, the count, the tag, or the bits of a float; 0 for an indefinite length.
    pub argument: u64,
}

impl Head {
    /// Whether it is a string, array or map that a break ends, or the break itself.
    #[inline]
    pub fn is_indefinite(self) -> bool {
        self.info == 31
    }

    /// Whether it is the break that ends an item of indefinite length.
    #[inline]
    pub fn is_break(self) -> bool {
        self.major == Major::Simple && self.info == 31
    }

    /// The float, if the item is one.
    pub fn float(self) -> Option<f64> {
        match (self.major, self.info) {
            (Major::Simple, 25) => u16::try_from(self.argument).ok().map(float::from_half),
            (Major::Simple, 26) => u32::try_from(self.argument)
                .ok()
                .map(|bits| f32::from_bits(bits).into()),
            (Major::Simple, 27) => Some(f64::from_bits(self.argument)),
            _ => None,
        }
    }

    /// The kind of item, for error messages.
    pub fn describe(self) -> &'static str {
        match (self.major, self.info) {
            (Major::Unsigned, _) => "an unsigned integer",
            (Major::Negative, _) => "a negative integer",
            (Major::Bytes, _) => "a byte string",
            (Major::Text, _) => "a text string",
            (Major::Array, _) => "an array",
            (Major::Map, _) => "a map",
            (Major::Tag, _) => "a tag",
            (Major::Simple, 20 | 21) => "a boolean",
            (Major::Simple, 22) => "null",
            (Major::Simple, 23) => "undefined",
            (Major::Simple, 25..=27) => "a float",
            (Major::Simple, 31) => "a break",
            (Major::Simple, _) => "a simple value",
        }
    }
}

/// Appends a head in its shortest form.
#[inline]
pub fn push_head(out: &mut Vec<u8>, major: Major, argument: u64) {
    let kind = (major as u8) << 5;
    #[expect(clippy::cast_possible_truncation, reason = "it is below 24")]
    if argument < 24 {
        out.push(kind | argument as u8);
    } else {
        push_long_head(out, kind, argument);
    }
}

#[inline(never)]
fn push_long_head(out: &mut Vec<u8>, kind: u8, argument: u64) {
    #[expect(clippy::cast_possible_truncation, reason = "each arm's range fits the type")]
    match argument {
        0..=0xff => out.extend_from_slice(&[kind | 0x18, argument as u8]),
        0x100..=0xffff => {
            let [a, b] = (argument as u16).to_be_bytes();
            out.extend_from_slice(&[kind | 0x19, a, b]);
        }
        0x1_0000..=0xffff_ffff => {
            let [a, b, c, d] = (argument as u32).to_be_bytes();
            out.extend_from_slice(&[kind | 0x1a, a, b, c, d]);
        }
        _ => {
            out.push(kind | 0x1b);
            out.extend_from_slice(&argument.to_be_bytes());
        }
    }
}

/// The number of bytes that [`push_head`] appends for an argument.
#[inline]
pub const fn head_len(argument: u64) -> usize {
    match argument {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// The number of bytes of a string of that length, with its head.
#[inline]
pub const fn string_len(length: usize) -> usize {
    head_len(length as u64) + length
}

/// Appends an unsigned integer.
#[inline]
pub fn push_uint(out: &mut Vec<u8>, value: u64) {
    push_head(out, Major::Unsigned, value);
}

/// Appends a text string.
#[inline(never)]
pub fn push_text(out: &mut Vec<u8>, text: &str) {
    push_name(out, text.as_bytes());
}

/// Appends a text string; `text` must be UTF-8.
#[inline]
fn push_utf8(out: &mut Vec<u8>, text: &[u8]) {
    push_head(out, Major::Text, text.len() as u64);
    out.extend_from_slice(text);
}

/// Appends a text string that is mostly short, and returns its [`prefix`]. `text` must be UTF-8.
///
/// Up to 15 bytes are written as one or two whole words, which are then truncated. That is faster than copying a variable
/// number of bytes, and if the text is a constant, so are the words.
#[inline]
pub(super) fn push_name(out: &mut Vec<u8>, text: &[u8]) -> u64 {
    let (start, length) = (out.len(), text.len());
    let head = (u64::from(Major::Text as u8) << 5 | length as u64) << 56;
    if length < 8 {
        let bits = text.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        let item = head | bits << (8 * (7 - length));
        out.extend_from_slice(&item.to_be_bytes());
        out.truncate(start + 1 + length);
        return item;
    }
    if let (Some(first), Some(last), ..16) = (text.first_chunk(), text.last_chunk(), length) {
        let front = head | u64::from_be_bytes(*first) >> 8;
        let back = u64::from_be_bytes(*last) << (8 * (15 - length));
        out.extend_from_slice(&(u128::from(front) << 64 | u128::from(back)).to_be_bytes());
        out.truncate(start + 1 + length);
        return front;
    }
    push_utf8(out, text);
    prefix(out.get(start..).unwrap_or_default())
}

/// The first eight bytes of an item as a big-endian number; a shorter item is padded with zeros.
#[inline]
pub(super) fn prefix(item: &[u8]) -> u64 {
    match item.first_chunk() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => (0..8).fold(0, |bits, at| bits << 8 | u64::from(item.get(at).copied().unwrap_or(0))),
    }
}

/// Appends a byte string.
#[inline]
pub fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_head(out, Major::Bytes, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends the head of an array, which that many items must follow.
#[inline]
pub fn push_array(out: &mut Vec<u8>, items: usize) {
    push_head(out, Major::Array, items as u64);
}

/// Appends the head of a map, which that many entries must follow, in the order of their encoded keys.
#[inline]
pub fn push_map(out: &mut Vec<u8>, entries: usize) {
    push_head(out, Major::Map, entries as u64);
}

/// Appends a tag, which the tagged item must follow.
#[inline]
pub fn push_tag(out: &mut Vec<u8>, tag: u64) {
    push_head(out, Major::Tag, tag);
}
