use std::ops::Range;

/// The bytes of a field when its session was opened, as the current version encodes them.
#[derive(Clone)]
pub(super) enum Base {
    /// The record had no such field.
    None,
    /// They are in the record, at this range.
    Stored(Range<usize>),
    /// They are not in the record, because an older version wrote other bytes.
    Own(Box<[u8]>),
}

impl Base {
    pub(super) fn bytes<'a>(&'a self, record: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::None => None,
            Self::Stored(range) => record.get(range.clone()),
            Self::Own(bytes) => Some(bytes),
        }
    }
}
