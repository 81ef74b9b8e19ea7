//! The record: everything that is stored of one session.
//!
//! ```text
//! 55799([ format, name, version, fingerprint, meta, { field: 24(h'...'), ... } ])
//! meta = [ created, renewed, deadline, secret, [ secret, until ] / [], commits, [ nonce, ... ] ]
//! ```
//!
//! Deterministic CBOR (RFC 8949, section 4.2.1) behind the tag of self-described CBOR (section 3.4.6); each field is
//! embedded CBOR (tag 24, section 3.4.5.1), so that it is decoded alone, and copied where it was not touched.

mod wire;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::meta::Meta;
pub use wire::RecordError;

/// Beyond how many buffers beside its first a record is copied into one before it is changed: one that is changed again
/// and again without being read anew would otherwise keep all that it ever was.
const MAX_ADDED: usize = 16;

/// What is stored of one session. Fields stay encoded, in the buffers that they came in; a copy shares them.
#[derive(Clone)]
pub struct Record {
    /// The schema's version.
    pub version: u32,
    /// The schema's fingerprint.
    pub fingerprint: u64,
    /// Age, secrets and commits.
    pub meta: Meta,
    /// The schema's name.
    name: Span,
    /// What the record was read from: buffer 0.
    source: Bytes,
    /// What was put in since: buffers 1 and on.
    added: Vec<Bytes>,
    /// Sorted by [`order`].
    entries: Vec<Entry>,
}

/// A stretch of one of a record's buffers. Always within it.
#[derive(Clone, Copy)]
struct Span {
    buffer: usize,
    start: usize,
    end: usize,
}

/// A field.
#[derive(Clone, Copy)]
struct Entry {
    name: Span,
    value: Span,
    /// Where in the source the entry begins, if it goes from there to the end of its value just as it is to be written.
    written: Option<usize>,
}

impl Span {
    fn len(self) -> usize {
        self.end - self.start
    }
}

/// How fields are sorted: by their encoded names (RFC 8949, section 4.2.1), for text that is by length first.
fn order(one: &[u8], other: &[u8]) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// Whether a field called `one` comes before one called `other`, to the compiler.
pub(in crate::codec) const fn is_before(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return one.len() < other.len();
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return one[at] < other[at];
        }
        at += 1;
    }
    false
}

impl Record {
    /// A record without fields.
    pub fn new(name: impl Into<Cow<'static, str>>, version: u32, fingerprint: u64, meta: Meta) -> Self {
        let source = bytes_of(name.into());
        Self {
            version,
            fingerprint,
            meta,
            name: Span {
                buffer: 0,
                start: 0,
                end: source.len(),
            },
            source,
            added: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// The schema's name.
    pub fn name(&self) -> &str {
        text(self.part(self.name))
    }

    /// The encoded value of a field.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.position(name, 0).ok().and_then(|at| self.value(at))
    }

    /// The encoded value of a field, to be kept: a slice of the buffer that it lies in.
    pub fn field_bytes(&self, name: &str) -> Option<Bytes> {
        self.field_bytes_near(0, name)
    }

    /// Like [`field_bytes`](Self::field_bytes), of a field that probably is the one with the number `rank`, or before it.
    pub(in crate::codec) fn field_bytes_near(&self, rank: usize, name: &str) -> Option<Bytes> {
        let at = self.position(name, rank).ok()?;
        let Span { buffer, start, end } = self.entries.get(at)?.value;
        self.buffer(buffer).map(|buffer| buffer.slice(start..end))
    }

    /// The encoded value of the field at a [`position`](Self::position).
    pub(super) fn value(&self, at: usize) -> Option<&[u8]> {
        self.entries.get(at).map(|entry| self.part(entry.value))
    }

    /// All fields, in the order in which they are written.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.entries
            .iter()
            .map(|entry| (text(self.part(entry.name)), self.part(entry.value)))
    }

    /// Puts a field in, or in the place of the one it has.
    pub fn set_field(&mut self, name: impl Into<Cow<'static, str>>, value: Bytes) {
        let (name, all) = (name.into(), 0..value.len());
        let at = self.position(&name, 0);
        let buffer = self.add(value);
        self.set_part(at, name, buffer, all);
    }

    /// Takes a field out; says whether there was one.
    pub fn remove_field(&mut self, name: &str) -> bool {
        let found = self.position(name, 0);
        if let Ok(at) = found {
            self.entries.remove(at);
        }
        found.is_ok()
    }

    /// Keeps a buffer that fields are to lie in, and gives the number it has.
    pub(super) fn add(&mut self, buffer: Bytes) -> usize {
        self.added.push(buffer);
        self.added.len()
    }

    /// Puts a field in at its [`position`](Self::position), whose value is a stretch of a buffer that
    /// [`add`](Self::add) gave the number of.
    pub(super) fn set_part(
        &mut self,
        at: Result<usize, usize>,
        name: Cow<'static, str>,
        buffer: usize,
        part: Range<usize>,
    ) {
        let value = Span {
            buffer,
            start: part.start,
            end: part.end,
        };
        match at {
            Ok(at) => {
                let entry = &mut self.entries[at];
                (entry.value, entry.written) = (value, None);
            }
            Err(at) => {
                let end = name.len();
                let buffer = self.add(bytes_of(name));
                let name = Span { buffer, start: 0, end };
                let written = None;
                self.entries.insert(at, Entry { name, value, written });
            }
        }
    }

    /// Makes ready for `fields` more changes: buffers given by [`add`](Self::add) before this have other numbers after.
    pub(super) fn make_room(&mut self, fields: usize) {
        if self.added.len() > MAX_ADDED
            && let Ok(gathered) = Self::decode(&self.encode().into())
        {
            *self = gathered;
        }
        self.added.reserve(fields + 1);
    }

    fn buffer(&self, number: usize) -> Option<&Bytes> {
        match number.checked_sub(1) {
            None => Some(&self.source),
            Some(at) => self.added.get(at),
        }
    }

    fn part(&self, Span { buffer, start, end }: Span) -> &[u8] {
        self.buffer(buffer)
            .and_then(|bytes| bytes.get(start..end))
            .unwrap_or_default()
    }

    /// Where the field is, or belongs. In a record that has only fields of the schema, and perhaps not all of them, it
    /// is at its `rank` among them or before; elsewhere it takes a little longer to find.
    pub(super) fn position(&self, name: &str, rank: usize) -> Result<usize, usize> {
        let near = self.entries.get(..=rank).unwrap_or(&self.entries);
        let is_it = |entry: &Entry| entry.name.len() == name.len() && self.part(entry.name) == name.as_bytes();
        if let Some(at) = near.iter().rposition(is_it) {
            return Ok(at);
        }
        self.entries
            .binary_search_by(|entry| order(self.part(entry.name), name.as_bytes()))
    }
}

/// What of a record was found to be text when it was put in or read.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn bytes_of(name: Cow<'static, str>) -> Bytes {
    match name {
        Cow::Borrowed(name) => Bytes::from_static(name.as_bytes()),
        Cow::Owned(name) => name.into(),
    }
}

/// By what they hold, wherever that lies.
impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        let head = |record: &Self| (record.version, record.fingerprint);
        head(self) == head(other)
            && self.name() == other.name()
            && self.meta == other.meta
            && self.fields().eq(other.fields())
    }
}

impl Eq for Record {}

/// The names of the fields. Never their values, which may be secrets.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.fields().map(|(name, _)| name).collect();
        f.debug_struct("Record")
            .field("name", &self.name())
            .field("version", &self.version)
            .field("fingerprint", &self.fingerprint)
            .field("meta", &self.meta)
            .field("fields", &names)
            .finish_non_exhaustive()
    }
}
