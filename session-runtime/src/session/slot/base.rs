use std::ops::Range;

/// The bytes that a field had when its session was opened, as the present version would write them.
#[derive(Clone)]
pub(super) enum Base {
    /// It had none.
    None,
    /// They are in the record, there.
    Stored(Range<usize>),
    /// They are not: an older version wrote others.
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
