//! Arrays and maps while they are written: heads that turn out right, entries in the order of their keys.

use serde::ser::{self, Serialize};

use super::error::{EncodeError, EncodeKind};
use super::head::{self, Major};
use super::ser::{Entry, Serializer};

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
}

impl Map<'_, '_> {
    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result {
        let key = self.serializer.out.len();
        head::push_text(self.serializer.out, name);
        let entry = Entry {
            key,
            value: self.serializer.out.len(),
            end: 0,
        };
        value.serialize(&mut *self.serializer)?;
        let end = self.serializer.out.len();
        self.serializer.entries.push(Entry { end, ..entry });
        Ok(())
    }

    fn finish(self) -> Result {
        let Serializer {
            out, entries, scratch, ..
        } = &mut *self.serializer;
        let own = entries.get_mut(self.first..).unwrap_or_default();
        sort(out, own, scratch)?;
        let written = own.len();
        entries.truncate(self.first);
        if written != self.claimed {
            correct_head(out, self.head, Major::Map, self.claimed, written);
        }
        self.serializer.depth += self.levels;
        Ok(())
    }
}

/// Puts entries that lie one behind the other at the end of `out` in the order of their encoded keys.
fn sort(out: &mut Vec<u8>, entries: &mut [Entry], scratch: &mut Vec<u8>) -> Result {
    fn key(bytes: &[u8], entry: Entry) -> &[u8] {
        bytes.get(entry.key..entry.value).unwrap_or_default()
    }
    if entries.is_sorted_by(|a, b| key(out, *a) < key(out, *b)) {
        return Ok(());
    }
    let Some(start) = entries.first().map(|first| first.key) else {
        return Ok(());
    };
    entries.sort_unstable_by(|a, b| key(out, *a).cmp(key(out, *b)));
    if !entries.is_sorted_by(|a, b| key(out, *a) < key(out, *b)) {
        return Err(EncodeError::new(EncodeKind::DuplicateKey));
    }
    scratch.clear();
    for entry in entries.iter() {
        scratch.extend_from_slice(out.get(entry.key..entry.end).unwrap_or_default());
    }
    out.truncate(start);
    out.extend_from_slice(scratch);
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
        let before = self.serializer.out.len();
        key.serialize(&mut *self.serializer)?;
        let entry = Entry {
            key: before,
            value: self.serializer.out.len(),
            end: 0,
        };
        self.serializer.entries.push(entry);
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
