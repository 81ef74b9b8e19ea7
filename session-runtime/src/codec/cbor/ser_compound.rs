//! Arrays and maps while they are written: heads that turn out right, entries in the order of their keys.

use std::cmp::Ordering;

use serde::ser::{self, Serialize};

use super::error::{EncodeError, EncodeKind};
use super::head::{self, Major};
use super::ser::Serializer;

type Result<T = (), E = EncodeError> = std::result::Result<T, E>;

pub(super) struct Sequence<'s, 'o> {
    pub(super) serializer: &'s mut Serializer<'o>,
    /// Where the head lies; `NO_HEAD` for a tag.
    pub(super) head: usize,
    pub(super) claimed: usize,
    pub(super) written: usize,
    /// How many levels end with it.
    pub(super) levels: u16,
}

const NO_HEAD: usize = usize::MAX;

impl<'s, 'o> Sequence<'s, 'o> {
    /// ciborium's way of showing a tag: a tuple of the number and the item.
    pub(super) fn tagged(serializer: &'s mut Serializer<'o>) -> Self {
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
        value.serialize(&mut *self.serializer)
    }

    /// Writes the number, then makes the integer's head a tag's: only the kind differs.
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

pub(super) struct Map<'s, 'o> {
    pub(super) serializer: &'s mut Serializer<'o>,
    /// Where the head lies.
    pub(super) head: usize,
    pub(super) claimed: usize,
    /// Its first entry in the serializer's list.
    pub(super) first: usize,
    /// How many levels end with it.
    pub(super) levels: u16,
    /// The last key's prefix, while each has been greater than the one before.
    last: u64,
    /// Whether the prefixes do not tell that the entries are in order.
    unordered: bool,
}

impl<'s, 'o> Map<'s, 'o> {
    #[inline]
    pub(super) fn new(serializer: &'s mut Serializer<'o>, head: usize, claimed: usize, levels: u16) -> Self {
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
        let prefix = push_name(self.serializer.out, name.as_bytes());
        let key_end = self.serializer.out.len();
        value.serialize(&mut *self.serializer)?;
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

/// Where an entry of a map lies in the output.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// The first bytes of the encoded key, zeros behind a shorter one. No item's encoding begins another's, so that
    /// where two of them differ they are in the order of the keys.
    prefix: u64,
    key: usize,
    key_end: usize,
    /// 0 until the value is written.
    end: usize,
}

impl Entry {
    #[inline]
    fn new(out: &[u8], key: usize, key_end: usize, end: usize) -> Self {
        let prefix = match out.get(key..).and_then(<[u8]>::first_chunk::<8>) {
            Some(bytes) if key_end - key >= 8 => u64::from_be_bytes(*bytes),
            // What lies behind the key is cut off.
            Some(bytes) => u64::from_be_bytes(*bytes) & !(u64::MAX >> (8 * (key_end - key))),
            None => {
                let mut bytes = [0; 8];
                let key = out.get(key..key_end).unwrap_or_default();
                bytes.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
                u64::from_be_bytes(bytes)
            }
        };
        Self {
            prefix,
            key,
            key_end,
            end,
        }
    }

    #[inline]
    fn compare(&self, other: &Self, out: &[u8]) -> Ordering {
        self.prefix
            .cmp(&other.prefix)
            .then_with(|| out[self.key..self.key_end].cmp(&out[other.key..other.key_end]))
    }
}

/// Appends a name, in one piece where it is short as names are, and returns the prefix of the key that it is.
fn push_name(out: &mut Vec<u8>, name: &[u8]) -> u64 {
    let (key, length) = (out.len(), name.len());
    let head = (u64::from(Major::Text as u8) << 5 | length as u64) << 56;
    if length < 8 {
        let bits = name.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        let prefix = head | bits << (8 * (7 - length));
        out.extend_from_slice(&prefix.to_be_bytes());
        out.truncate(key + 1 + length);
        return prefix;
    }
    if let (Some(front), Some(back), ..16) = (name.first_chunk(), name.last_chunk(), length) {
        let prefix = head | u64::from_be_bytes(*front) >> 8;
        let rest = u64::from_be_bytes(*back) << (8 * (15 - length));
        out.extend_from_slice(&(u128::from(prefix) << 64 | u128::from(rest)).to_be_bytes());
        out.truncate(key + 1 + length);
        return prefix;
    }
    head::push_utf8(out, name);
    Entry::new(out, key, out.len(), 0).prefix
}

/// Puts entries that lie one behind the other at the end of `out` in the order of their encoded keys.
#[inline(never)]
fn sort(out: &mut Vec<u8>, entries: &mut [Entry]) -> Result {
    let (mut start, behind) = (entries.first().map_or(out.len(), |first| first.key), out.len());
    entries.sort_unstable_by(|a, b| a.compare(b, out));
    if !entries.is_sorted_by(|a, b| a.compare(b, out).is_lt()) {
        return Err(EncodeError::new(EncodeKind::DuplicateKey));
    }
    // Those at either end that are in their place stay there, and those that stay together are copied together.
    let (mut moved, mut end) = (&*entries, behind);
    while let Some((entry, rest)) = moved.split_first()
        && entry.key == start
    {
        (moved, start) = (rest, entry.end);
    }
    while let Some((entry, rest)) = moved.split_last()
        && entry.end == end
    {
        (moved, end) = (rest, entry.key);
    }
    let Some((first, rest)) = moved.split_first() else {
        return Ok(());
    };
    let mut run = first.key..first.end;
    for entry in rest {
        if entry.key != run.end {
            out.extend_from_within(run.clone());
            run.start = entry.key;
        }
        run.end = entry.end;
    }
    out.extend_from_within(run);
    out.copy_within(behind.., start);
    out.truncate(behind);
    Ok(())
}

/// Writes a head again whose count was unknown when it was written, or wrongly announced.
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
        key.serialize(&mut *self.serializer)?;
        let entry = Entry::new(self.serializer.out, start, self.serializer.out.len(), 0);
        self.push(entry);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        value.serialize(&mut *self.serializer)?;
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
