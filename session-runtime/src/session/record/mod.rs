//! The record: everything that is stored of one session.
//!
//! ```text
//! 55799([ format, name, version, fingerprint, meta, { field: 24(h'...'), ... } ])
//! meta = [ created, renewed, deadline, secret, [ secret, until ] / [], commits, [ nonce, ... ], idle, persistent,
//!          [ owner, entry, has_left ], ... ]
//! ```
//!
//! In `meta`, `idle` is a number of milliseconds or null, `persistent` is a boolean or null, and the owner's hash, the
//! number of its entry and whether it has signed out, or null, tell whose the session is or was. Nulls at its end are not written.
//!
//! Deterministic CBOR (RFC 8949, section 4.2.1) inside the tag of self-described CBOR (section 3.4.6). Each field is
//! embedded CBOR (tag 24, section 3.4.5.1), so that it can be decoded on its own, and copied where it was not changed.
//!
//! Two parts grow without a new format: fields that this binary does not know, and entries at the end of `meta` that it
//! does not know, are kept byte by byte in every record that follows.

mod draft;
mod wire;

use std::cmp::Ordering;
use std::convert::Infallible;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::error::OpenError;
use super::meta::Meta;
use super::schema::Schema;
pub use draft::Draft;
pub use wire::RecordError;

/// What is stored of one session: its bytes, and where in them the fields lie. It is immutable, and its clones share it; a
/// [`Draft`] makes the record that replaces it.
#[derive(Clone)]
pub struct Record(Arc<Contents>);

#[derive(Default)]
struct Contents {
    bytes: Bytes,
    name: Span,
    version: u32,
    fingerprint: u64,
    meta: Meta,
    meta_tail: MetaTail,
    /// Sorted by [`order`]. Each begins where the one before it ends.
    entries: Entries,
}

/// As many as most sessions have lie beside the rest of the record.
type Entries = SmallVec<[Entry; 12]>;

/// The entries of `meta` that this crate does not know: a newer one wrote them.
#[derive(Clone, Default)]
struct MetaTail {
    count: u32,
    /// Where in the record's bytes they lie.
    range: Span,
}

/// Where in a record's bytes a field lies.
#[derive(Clone, Copy)]
struct Entry {
    name: Span,
    value: Span,
}

impl Entry {
    #[inline]
    fn new(name: Range<usize>, value: Range<usize>) -> Self {
        Self {
            name: Span::new(name),
            value: Span::new(value),
        }
    }
}

/// A part of a record's bytes. Records are shorter than 4 GiB, and are copied and moved often enough for the width to
/// count.
#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "`decode` refuses longer records, and no tier takes one"
    )]
    fn new(range: Range<usize>) -> Self {
        Self {
            start: range.start as u32,
            end: range.end as u32,
        }
    }

    #[inline]
    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The order of fields: that of their encoded names (RFC 8949, section 4.2.1), which for text compares lengths first.
fn order(one: &[u8], other: &[u8]) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

impl Record {
    /// A record without fields.
    pub fn new(schema: &Schema, meta: &Meta) -> Self {
        /// What a record without fields takes, roughly.
        const LEN: usize = 160;
        let header = wire::Header {
            name: schema.name,
            version: schema.version,
            fingerprint: schema.fingerprint,
            meta,
            meta_tail: (0, &[]),
        };
        Self::write(|contents| wire::Writer::new(contents, &header, 0, LEN).finish())
    }

    /// The record that `write` makes of nothing.
    fn write(write: impl FnOnce(&mut Contents)) -> Self {
        let Ok(record) = Self::build::<Infallible>(|contents| {
            write(contents);
            Ok(())
        });
        record
    }

    /// The record that `fill` makes of nothing. It is filled in where it stays: it is large, and is not to be moved there.
    #[inline]
    fn build<E>(fill: impl FnOnce(&mut Contents) -> Result<(), E>) -> Result<Self, E> {
        let mut contents = Arc::<Contents>::default();
        // Always there: nobody else has it yet.
        if let Some(contents) = Arc::get_mut(&mut contents) {
            fill(contents)?;
        }
        Ok(Self(contents))
    }

    /// The stored bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// The schema's name.
    pub fn name(&self) -> &str {
        text(self.slice(self.0.name))
    }

    /// The schema's version.
    pub fn version(&self) -> u32 {
        self.0.version
    }

    /// The schema's fingerprint.
    pub fn fingerprint(&self) -> u64 {
        self.0.fingerprint
    }

    /// Age, secrets and commits.
    pub fn meta(&self) -> &Meta {
        &self.0.meta
    }

    /// The entries of `meta` that this crate does not know, encoded one after the other.
    pub fn unknown_meta(&self) -> &[u8] {
        self.slice(self.0.meta_tail.range)
    }

    /// The encoded value of a field.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        let at = self.position(name, 0).ok()?;
        self.0.entries.get(at).map(|entry| self.slice(entry.value))
    }

    /// All fields, in the order in which they are written, each with its encoded value.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let entries = self.0.entries.iter();
        entries.map(|entry| (text(self.slice(entry.name)), self.slice(entry.value)))
    }

    /// Whether a struct of the same version and with the same fields as the schema's wrote the record.
    pub(in crate::session) fn is_written_by(&self, schema: &Schema) -> bool {
        (self.0.version, self.0.fingerprint) == (schema.version, schema.fingerprint)
    }

    /// Whether this is the schema's name.
    #[inline]
    pub(in crate::session) fn has_name(&self, name: &str) -> bool {
        self.slice(self.0.name) == name.as_bytes()
    }

    /// An error where the record belongs to a session of another name, or where a newer binary than the schema's wrote it.
    pub(in crate::session) fn check_schema(&self, schema: &Schema) -> Result<(), OpenError> {
        let name = self.slice(self.0.name);
        if name != schema.name.as_bytes() && !schema.earlier().any(|earlier| earlier.name.as_bytes() == name) {
            return Err(OpenError::foreign(schema.name, self.name()));
        }
        if self.0.version > schema.version {
            return Err(OpenError::newer(schema.name, self.0.version, schema.version));
        }
        Ok(())
    }

    /// A draft of the record that is to replace this one.
    pub fn draft(&self) -> Draft<'_> {
        Draft::new(self)
    }

    fn header(&self) -> wire::Header<'_> {
        wire::Header {
            name: self.name(),
            version: self.0.version,
            fingerprint: self.0.fingerprint,
            meta: &self.0.meta,
            meta_tail: (self.0.meta_tail.count, self.unknown_meta()),
        }
    }

    /// Where in [`bytes`](Self::bytes) the encoded value of the field at a [`position`](Self::position) lies.
    #[inline]
    pub(in crate::session) fn value_range(&self, at: usize) -> Option<Range<usize>> {
        self.0.entries.get(at).map(|entry| entry.value.range())
    }

    /// The position of a field, or the one at which it would be inserted. Quick where that is `guess`, or little less.
    #[inline]
    pub(in crate::session) fn position(&self, name: &str, guess: usize) -> Result<usize, usize> {
        match self.value_range_if(guess, name) {
            Some(_) => Ok(guess),
            None => self.search(name, guess),
        }
    }

    /// Where the value of the field at a position lies, if `name` is its name.
    #[inline]
    pub(in crate::session) fn value_range_if(&self, at: usize, name: &str) -> Option<Range<usize>> {
        let entry = self.0.entries.get(at)?;
        (self.slice(entry.name) == name.as_bytes()).then(|| entry.value.range())
    }

    #[inline(never)]
    fn search(&self, name: &str, guess: usize) -> Result<usize, usize> {
        let compare = |entry: &Entry| order(self.slice(entry.name), name.as_bytes());
        let mut at = guess.saturating_add(1).min(self.0.entries.len());
        let end = at;
        while let Some(entry) = at.checked_sub(1).and_then(|previous| self.0.entries.get(previous)) {
            match compare(entry) {
                Ordering::Greater => at -= 1,
                Ordering::Equal => return Ok(at - 1),
                Ordering::Less => break,
            }
        }
        if at < end {
            return Err(at);
        }
        let rest = self.0.entries.get(at..).unwrap_or_default();
        let found = rest.binary_search_by(compare);
        found.map(|found| at + found).map_err(|found| at + found)
    }

    #[inline]
    fn slice(&self, span: Span) -> &[u8] {
        self.0.bytes.get(span.range()).unwrap_or_default()
    }
}

/// A name in a record. It is UTF-8: names are checked when a record is decoded, and written from a `str`.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Compares bytes: what a [`Draft`] writes has one form only.
impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl Eq for Record {}

/// Shows the names of the fields, but not their values, which may be secret.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.fields().map(|(name, _)| name).collect();
        f.debug_struct("Record")
            .field("name", &self.name())
            .field("version", &self.0.version)
            .field("fingerprint", &self.0.fingerprint)
            .field("meta", &self.0.meta)
            .field("fields", &names)
            .finish_non_exhaustive()
    }
}
