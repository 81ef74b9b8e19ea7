//! How a record is written and read.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::{Contents, Entry, MetaTail, Record, Span, order};
use crate::cbor::head::{push_array, push_bytes, push_map, push_text, push_uint, string_len};
use crate::cbor::{DecodeError, Reader};
use crate::session::meta::{Meta, Millis, NONCES, Nonce, OwnerHash, OwnerMark, SecretHash, millis};

const SELF_DESCRIBED: u64 = 55799;
const EMBEDDED: u64 = 24;
/// [`EMBEDDED`] as it is written.
const EMBEDDED_HEAD: [u8; 2] = [0xd8, 0x18];
/// The format of records that this crate writes.
const FORMAT: u64 = 1;
/// How many entries of `meta` are in every record.
const META_LEN: usize = 7;
/// How many more this crate knows: `idle`, `persistent` and `owner`. A newer one may append further ones.
const OPTIONAL_META: usize = 3;
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;
/// The head of `meta` as this crate writes it, with no further entries.
const META_HEAD: [u8; 1] = [0x87];
/// [`SELF_DESCRIBED`], an array of six, [`FORMAT`].
const BEGINNING: [u8; 5] = [0xd9, 0xd9, 0xf7, 0x86, 0x01];

/// Bytes that are not a session record.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RecordError(#[from] RecordErrorKind);

impl RecordError {
    /// Of an owner's record whose format is not known.
    pub(crate) fn of_format(format: u64) -> Self {
        RecordErrorKind::OwnerFormat(format).into()
    }
}

impl From<DecodeError> for RecordError {
    fn from(error: DecodeError) -> Self {
        Self(error.into())
    }
}

#[derive(Debug, thiserror::Error)]
enum RecordErrorKind {
    #[error("not a record: its CBOR is malformed or not that of one")]
    Cbor(#[from] DecodeError),
    #[error("not a session record: it does not begin with the tag of self-described CBOR")]
    NotTagged,
    #[error(
        "the record has format {0}, written by a newer binary; this one reads format {FORMAT}: \
         deploy the newer binary here too"
    )]
    Format(u64),
    #[error("an owner's record has format {0}, written by a newer binary: deploy the newer binary here too")]
    OwnerFormat(u64),
    #[error("not a session record: {0} is out of range")]
    Range(&'static str),
    #[error("not a session record: its fields are out of order, or one is duplicated")]
    Order,
}

/// What precedes the fields of a record.
pub(super) struct Header<'a> {
    pub(super) name: &'a str,
    pub(super) version: u32,
    pub(super) fingerprint: u64,
    pub(super) meta: &'a Meta,
    /// How many entries of `meta` this crate does not know, and their bytes.
    pub(super) meta_tail: (u32, &'a [u8]),
}

/// Writes a record: its header, then its fields in their order.
pub(super) struct Writer<'a> {
    out: Vec<u8>,
    contents: &'a mut Contents,
}

impl<'a> Writer<'a> {
    /// A record of `count` fields and of about `len` bytes.
    pub(super) fn new(contents: &'a mut Contents, header: &Header<'_>, count: usize, len: usize) -> Self {
        let mut out = Vec::with_capacity(len);
        out.extend_from_slice(&BEGINNING);
        push_text(&mut out, header.name);
        contents.name = Span::new(out.len() - header.name.len()..out.len());
        contents.version = header.version;
        push_uint(&mut out, header.version.into());
        contents.fingerprint = header.fingerprint;
        push_long(&mut out, header.fingerprint);
        let (unknown, bytes) = header.meta_tail;
        let optional = if unknown > 0 {
            OPTIONAL_META
        } else {
            header.meta.optional_len()
        };
        push_array(&mut out, META_LEN + optional + unknown as usize);
        contents.meta = header.meta.clone();
        header.meta.append(&mut out);
        if optional > 0 {
            header.meta.append_optional(optional, &mut out);
        }
        let start = out.len();
        out.extend_from_slice(bytes);
        contents.meta_tail = MetaTail {
            count: unknown,
            range: Span::new(start..out.len()),
        };
        push_map(&mut out, count);
        contents.entries.reserve_exact(count);
        Self { out, contents }
    }

    /// Appends a field.
    pub(super) fn put(&mut self, name: &str, value: &[u8]) {
        push_text(&mut self.out, name);
        let name = self.out.len() - name.len()..self.out.len();
        self.out.extend_from_slice(&EMBEDDED_HEAD);
        push_bytes(&mut self.out, value);
        let value = self.out.len() - value.len()..self.out.len();
        self.contents.entries.push(Entry::new(name, value));
    }

    /// Appends fields of another record, byte by byte as they are there.
    pub(super) fn copy(&mut self, from: &Record, fields: Range<usize>) {
        let fields = from.0.entries.get(fields).unwrap_or_default();
        let (Some(first), Some(last)) = (fields.first(), fields.last()) else {
            return;
        };
        let name = first.name.range();
        let old = Span::new(name.end - string_len(name.len())..last.value.range().end);
        let new = Span::new(self.out.len()..self.out.len());
        self.out.extend_from_slice(from.slice(old));
        // One wrapping addition moves an offset either way.
        let distance = new.start.wrapping_sub(old.start);
        let moved = |span: Span| Span {
            start: span.start.wrapping_add(distance),
            end: span.end.wrapping_add(distance),
        };
        self.contents.entries.extend(fields.iter().map(|entry| Entry {
            name: moved(entry.name),
            value: moved(entry.value),
        }));
    }

    /// Puts the bytes beside the rest.
    pub(super) fn finish(self) {
        self.contents.bytes = self.out.into();
    }
}

impl Record {
    /// Reads a record; its fields stay in `bytes`.
    pub fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        let mut is_shortest = true;
        let record = Self::build(|contents| {
            is_shortest = contents.read(bytes)?;
            Ok::<_, RecordError>(())
        })?;
        Ok(if is_shortest {
            record
        } else {
            record.with_shortest_heads()
        })
    }

    /// The record with the shortest heads around its fields, so that a [`Writer`] may copy them unchanged.
    #[cold]
    fn with_shortest_heads(&self) -> Self {
        let (count, len) = (self.0.entries.len(), self.0.bytes.len());
        Self::write(|contents| {
            let mut writer = Writer::new(contents, &self.header(), count, len);
            for (name, value) in self.fields() {
                writer.put(name, value);
            }
            writer.finish();
        })
    }
}

impl Contents {
    /// Reads a record; its fields stay in `bytes`. Whether the heads around them are the shortest.
    #[inline]
    fn read(&mut self, bytes: &Bytes) -> Result<bool, RecordError> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(RecordErrorKind::Range("its length").into());
        }
        let mut reader = Reader::new(bytes);
        if !reader.skip_prefix(&BEGINNING) {
            if reader.tag()? != SELF_DESCRIBED {
                return Err(RecordErrorKind::NotTagged.into());
            }
            reader.expect_array(6)?;
            let format = reader.uint()?;
            if format != FORMAT {
                return Err(RecordErrorKind::Format(format).into());
            }
        }
        let name = reader.text()?;
        self.name = Span::new(last_read(&reader, name.as_bytes()));
        self.version = u32::try_from(reader.uint()?).map_err(|_| RecordErrorKind::Range("its version"))?;
        self.fingerprint = reader.uint()?;
        let more = if reader.skip_prefix(&META_HEAD) {
            0
        } else {
            further_count(&mut reader)?
        };
        self.meta.read(&mut reader)?;
        if more > 0 {
            self.meta.read_optional(&mut reader, more.min(OPTIONAL_META))?;
            self.meta_tail = MetaTail::read(&mut reader, more.saturating_sub(OPTIONAL_META))?;
        }
        let count = reader.map()?;
        // A field takes at least four bytes: the heads of name, tag and value.
        self.entries.reserve_exact(count.min(reader.remaining() / 4));
        let (mut before, mut is_shortest): (Option<&[u8]>, _) = (None, true);
        for _ in 0..count {
            let start = reader.position();
            let name = reader.utf8()?;
            if before.is_some_and(|before| order(before, name).is_ge()) {
                return Err(RecordErrorKind::Order.into());
            }
            before = Some(name);
            let name = last_read(&reader, name);
            if !reader.skip_prefix(&EMBEDDED_HEAD) && reader.tag()? != EMBEDDED {
                return Err(RecordErrorKind::Range("the tag of a field").into());
            }
            let value = reader.bytes()?;
            let value = last_read(&reader, value);
            let shortest = string_len(name.len()) + EMBEDDED_HEAD.len() + string_len(value.len());
            is_shortest &= value.end - start == shortest;
            self.entries.push(Entry::new(name, value));
        }
        reader.end()?;
        self.bytes = bytes.clone();
        Ok(is_shortest)
    }
}

/// Where the string that was just read lies.
fn last_read(reader: &Reader<'_>, string: &[u8]) -> Range<usize> {
    let end = reader.position();
    end - string.len()..end
}

/// Appends an unsigned integer; fast where it takes the full eight bytes, as most times and nonces do.
#[inline]
fn push_long(out: &mut Vec<u8>, value: u64) {
    if u32::try_from(value).is_ok() {
        return push_uint(out, value);
    }
    let mut head = [0x1b; 9];
    head[1..].copy_from_slice(&value.to_be_bytes());
    out.extend_from_slice(&head);
}

impl Meta {
    /// Appends the entries that are in every record, without the head of their array.
    fn append(&self, out: &mut Vec<u8>) {
        for time in [self.created, self.renewed, self.deadline] {
            push_long(out, time.0);
        }
        push_bytes(out, &self.secret.0);
        push_array(out, if self.previous.is_some() { 2 } else { 0 });
        if let Some((secret, until)) = &self.previous {
            push_bytes(out, &secret.0);
            push_uint(out, until.0);
        }
        push_uint(out, self.commits);
        push_array(out, self.nonces.len());
        for nonce in &*self.nonces {
            push_long(out, nonce.0);
        }
    }

    /// How many of the optional entries are written, where no others follow.
    fn optional_len(&self) -> usize {
        match (self.idle, self.persistent, self.owner) {
            (None, None, None) => 0,
            (Some(_), None, None) => 1,
            (_, Some(_), None) => 2,
            (.., Some(_)) => 3,
        }
    }

    /// Appends so many of the optional entries.
    #[cold]
    fn append_optional(&self, count: usize, out: &mut Vec<u8>) {
        match self.idle {
            Some(idle) => push_uint(out, millis(idle)),
            None => out.push(NULL),
        }
        if count > 1 {
            out.push(match self.persistent {
                Some(true) => TRUE,
                Some(false) => FALSE,
                None => NULL,
            });
        }
        match &self.owner {
            _ if count <= 2 => {}
            None => out.push(NULL),
            Some(OwnerMark { owner, entry, has_left }) => {
                push_array(out, 3);
                push_bytes(out, &owner.0);
                push_uint(out, entry.0);
                out.push(if *has_left { TRUE } else { FALSE });
            }
        }
    }

    /// Reads so many of the optional entries.
    #[cold]
    fn read_optional(&mut self, reader: &mut Reader<'_>, count: usize) -> Result<(), RecordError> {
        if !reader.skip_prefix(&[NULL]) {
            self.idle = Some(Duration::from_millis(reader.uint()?));
        }
        if count > 1 && !reader.skip_prefix(&[NULL]) {
            self.persistent = Some(reader.skip_prefix(&[TRUE]));
            if self.persistent == Some(false) && !reader.skip_prefix(&[FALSE]) {
                return Err(RecordErrorKind::Range("whether it is persistent").into());
            }
        }
        if count > 2 && !reader.skip_prefix(&[NULL]) {
            reader.expect_array(3)?;
            let owner = reader.bytes()?.try_into().map(OwnerHash);
            let owner = owner.map_err(|_| RecordErrorKind::Range("the length of its owner's hash"))?;
            let entry = Nonce(reader.uint()?);
            let has_left = reader.skip_prefix(&[TRUE]);
            if !has_left && !reader.skip_prefix(&[FALSE]) {
                return Err(RecordErrorKind::Range("whether its owner has left").into());
            }
            self.owner = Some(OwnerMark { owner, entry, has_left });
        }
        Ok(())
    }

    /// Reads the entries that are in every record, without the head of their array.
    #[inline]
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), RecordError> {
        self.created = Millis(reader.uint()?);
        self.renewed = Millis(reader.uint()?);
        self.deadline = Millis(reader.uint()?);
        self.secret = secret(reader)?;
        self.previous = match reader.array()? {
            0 => None,
            2 => Some((secret(reader)?, Millis(reader.uint()?))),
            _ => return Err(RecordErrorKind::Range("its previous secret").into()),
        };
        self.commits = reader.uint()?;
        let count = reader.array()?;
        if count > NONCES {
            return Err(RecordErrorKind::Range("the number of its nonces").into());
        }
        for _ in 0..count {
            self.nonces.push(Nonce(reader.uint()?));
        }
        Ok(())
    }
}

/// Reads the head of `meta`: how many entries follow those that are in every record.
#[cold]
fn further_count(reader: &mut Reader<'_>) -> Result<usize, RecordError> {
    let further = reader.array()?.checked_sub(META_LEN);
    further.ok_or_else(|| RecordErrorKind::Range("the number of its meta entries").into())
}

impl MetaTail {
    #[cold]
    fn read(reader: &mut Reader<'_>, count: usize) -> Result<Self, RecordError> {
        let start = reader.position();
        for _ in 0..count {
            reader.skip()?;
        }
        Ok(Self {
            count: u32::try_from(count).map_err(|_| RecordErrorKind::Range("the length of its metadata"))?,
            range: Span::new(start..reader.position()),
        })
    }
}

fn secret(reader: &mut Reader<'_>) -> Result<SecretHash, RecordError> {
    reader
        .bytes()?
        .try_into()
        .map(SecretHash)
        .map_err(|_| RecordErrorKind::Range("the length of a secret").into())
}
