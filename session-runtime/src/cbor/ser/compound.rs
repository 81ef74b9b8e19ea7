//! Unfinished arrays and maps: counts their items, corrects a wrong length in the head, sorts entries by their keys.

use std::cmp::Ordering;

use serde::ser::{self, Serialize};

use super::Serializer;
use crate::cbor::error::{EncodeError, EncodeKind};
use crate::cbor::head::{self, Major};

type Result<T = (), E = EncodeError> = std::result::Result<T, E>;

pub(in crate::cbor) struct Sequence<'s, 'o> {
    pub(in crate::cbor) serializer: &'s mut Serializer<'o>,
    /// Where the head is in the output; `NO_HEAD` for a tag.
    pub(in crate::cbor) head: usize,
    pub(in crate::cbor) claimed: usize,
    pub(in crate::cbor) written: usize,
    /// How many levels end with the array.
    pub(in crate::cbor) levels: u16,
}

const NO_HEAD: usize = usize::MAX;

impl<'s, 'o> Sequence<'s, 'o> {
    /// A tag, which ciborium represents as a tuple of the number and the item.
    pub(in crate::cbor) fn tagged(serializer: &'s mut Serializer<'o>) -> Self {
        Self {
            serializer,
            head: NO_HEAD,
            claimed: 2,
            written: 0,
            levels: 1,
        }
    }

    #[inline]
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.written += 1;
        if self.head == NO_HEAD && self.written == 1 {
            return self.tag(value);
        }
        self.serializer.serialize_part(value)
    }

    /// Writes the number, then turns the integer's head into a tag's: only the major type differs.
    fn tag<T: Serialize + ?Sized>(&mut self, number: &T) -> Result {
        let at = self.serializer.out.len();
        number.serialize(&mut *self.serializer)?;
        match self.serializer.out.get_mut(at) {
            Some(initial) if *initial >> 5 == Major::Unsigned as u8 => {
                *initial |= (Major::Tag as u8) << 5;
                Ok(())
            }
            _ => Err(EncodeError::new(EncodeKind::Tag)),
        }
    }

    #[inline]
    fn finish(self) -> Result {
        if self.written != self.claimed {
            if self.head == NO_HEAD {
                return Err(EncodeError::new(EncodeKind::Tag));
            }
            correct_head(self.serializer.out, self.head, Major::Array, self.claimed, self.written);
        }
        self.serializer.depth += self.levels;
        Ok(())
    }
}

pub(in crate::cbor) struct Map<'s, 'o> {
    serializer: &'s mut Serializer<'o>,
    /// Where the head is in the output.
    head: usize,
    claimed: usize,
    /// The index of its first entry in the serializer's list.
    first: usize,
    /// How many levels end with the map.
    levels: u16,
    /// The prefix of the last key.
    last: u64,
    /// False while each prefix is greater than the one before: then the map is sorted, and has no key twice.
    unordered: bool,
}

impl<'s, 'o> Map<'s, 'o> {
    #[inline]
    pub(in crate::cbor) fn new(serializer: &'s mut Serializer<'o>, head: usize, claimed: usize, levels: u16) -> Self {
        let first = serializer.entries.len();
        Self {
            serializer,
            head,
            claimed,
            first,
            levels,
            last: 0,
            unordered: false,
        }
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result {
        let key = self.serializer.out.len();
        let prefix = head::push_name(self.serializer.out, name.as_bytes());
        let key_end = self.serializer.out.len();
        self.serializer.serialize_part(value)?;
        let end = self.serializer.out.len();
        self.push(Entry {
            prefix,
            key,
            key_end,
            end,
        });
        Ok(())
    }

    #[inline]
    fn push(&mut self, entry: Entry) {
        self.unordered |= entry.prefix <= self.last;
        self.last = entry.prefix;
        self.serializer.entries.push(entry);
    }

    #[inline]
    fn finish(self) -> Result {
        self.serializer.end()?;
        let Serializer { out, entries, .. } = &mut *self.serializer;
        if self.unordered {
            sort(out, entries.get_mut(self.first..).unwrap_or_default())?;
        }
        let written = entries.len() - self.first;
        entries.truncate(self.first);
        if written != self.claimed {
            correct_head(out, self.head, Major::Map, self.claimed, written);
        }
        self.serializer.depth += self.levels;
        Ok(())
    }
}

/// Where an entry of a map is in the output.
#[derive(Clone, Copy)]
pub(in crate::cbor) struct Entry {
    /// The [`head::prefix`] of the encoded key. No item's encoding is a prefix of another's, so that two prefixes that
    /// differ are in the order of the keys.
    prefix: u64,
    key: usize,
    key_end: usize,
    /// 0 until the value is written.
    end: usize,
}

impl Entry {
    /// The entry whose key, from there to the end of the output, was just written.
    fn begin(out: &[u8], key: usize) -> Self {
        let prefix = head::prefix(out.get(key..).unwrap_or_default());
        Self {
            prefix,
            key,
            key_end: out.len(),
            end: 0,
        }
    }

    #[inline]
    fn compare(&self, other: &Self, out: &[u8]) -> Ordering {
        self.prefix
            .cmp(&other.prefix)
            .then_with(|| out[self.key..self.key_end].cmp(&out[other.key..other.key_end]))
    }
}

/// Sorts entries, which are contiguous at the end of `out`, by their encoded keys.
#[inline(never)]
fn sort(out: &mut Vec<u8>, entries: &mut [Entry]) -> Result {
    let (mut start, end) = (entries.first().map_or(out.len(), |first| first.key), out.len());
    entries.sort_unstable_by(|a, b| a.compare(b, out));
    if !entries.is_sorted_by(|a, b| a.compare(b, out).is_lt()) {
        return Err(EncodeError::new(EncodeKind::DuplicateKey));
    }
    // Entries at the front that are in order already stay where they are; adjacent entries are copied together.
    let mut displaced = &*entries;
    while let Some((entry, rest)) = displaced.split_first()
        && entry.key == start
    {
        (displaced, start) = (rest, entry.end);
    }
    let Some((first, rest)) = displaced.split_first() else {
        return Ok(());
    };
    let mut run = first.key..first.end;
    for entry in rest {
        if entry.key != run.end {
            out.extend_from_within(run);
            run = entry.key..entry.end;
        }
        run.end = entry.end;
    }
    out.extend_from_within(run);
    out.copy_within(end.., start);
    out.truncate(end);
    Ok(())
}

/// Replaces a head whose count was unknown, or announced wrongly, when it was written.
#[cold]
fn correct_head(out: &mut Vec<u8>, at: usize, major: Major, claimed: usize, written: usize) {
    let mut old = Vec::new();
    head::push_head(&mut old, major, claimed as u64);
    let mut new = Vec::new();
    head::push_head(&mut new, major, written as u64);
    out.splice(at..at + old.len(), new);
}

macro_rules! sequence {
    ($($name:ident $method:ident,)*) => {
        $(impl ser::$name for Sequence<'_, '_> {
            type Ok = ();
            type Error = EncodeError;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
                self.item(value)
            }

            #[inline]
            fn end(self) -> Result {
                self.finish()
            }
        })*
    };
}

sequence! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

macro_rules! structure {
    ($($name:ident)*) => {
        $(impl ser::$name for Map<'_, '_> {
            type Ok = ();
            type Error = EncodeError;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result {
                self.field(name, value)
            }

            #[inline]
            fn end(self) -> Result {
                self.finish()
            }
        })*
    };
}

structure!(SerializeStruct SerializeStructVariant);

impl ser::SerializeMap for Map<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result {
        let start = self.serializer.out.len();
        self.serializer.serialize_part(key)?;
        self.push(Entry::begin(self.serializer.out, start));
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.serializer.serialize_part(value)?;
        let end = self.serializer.out.len();
        let own = self.serializer.entries.get_mut(self.first..).unwrap_or_default();
        match own.last_mut() {
            Some(entry) if entry.end == 0 => {
                entry.end = end;
                Ok(())
            }
            _ => Err(EncodeError::new(EncodeKind::Unpaired)),
        }
    }

    fn end(self) -> Result {
        let own = self.serializer.entries.get(self.first..).unwrap_or_default();
        if own.iter().any(|entry| entry.end == 0) {
            return Err(EncodeError::new(EncodeKind::Unpaired));
        }
        self.finish()
    }
}
