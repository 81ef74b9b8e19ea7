//! How a record is written and read.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::{Entry, MetaTail, Record, order};
use crate::cbor::head::{push_array, push_bytes, push_map, push_text, push_uint, string_len};
use crate::cbor::{DecodeError, Reader};
use crate::session::meta::{Meta, Millis, NONCES, Nonce, Nonces, SecretHash, millis};

const SELF_DESCRIBED: u64 = 55799;
const EMBEDDED: u64 = 24;
/// [`EMBEDDED`] as it is written.
const EMBEDDED_HEAD: [u8; 2] = [0xd8, 0x18];
/// The format of records that this crate writes.
const FORMAT: u64 = 1;
/// How many entries of `meta` are in every record.
const META_LEN: usize = 7;
/// How many more this crate knows: `idle` and `persistent`. A newer one may append further ones.
const OPTIONAL_META: usize = 2;
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

impl From<DecodeError> for RecordError {
    fn from(error: DecodeError) -> Self {
        Self(error.into())
    }
}

#[derive(Debug, thiserror::Error)]
enum RecordErrorKind {
    #[error("not a session record: its CBOR is malformed or not that of a record")]
    Cbor(#[from] DecodeError),
    #[error("not a session record: it does not begin with the tag of self-described CBOR")]
    NotTagged,
    #[error(
        "the record has format {0}, written by a newer binary; this one reads format {FORMAT}: \
         deploy the newer binary here too"
    )]
    Format(u64),
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
    pub(super) meta_tail: (usize, &'a [u8]),
}

/// Writes a record: its header, then its fields in their order.
pub(super) struct Writer {
    out: Vec<u8>,
    name: Range<usize>,
    version: u32,
    fingerprint: u64,
    meta_tail: MetaTail,
    entries: Vec<Entry>,
}

impl Writer {
    /// A record of `count` fields and of about `len` bytes.
    pub(super) fn new(header: &Header<'_>, count: usize, len: usize) -> Self {
        let mut out = Vec::with_capacity(len);
        out.extend_from_slice(&BEGINNING);
        push_text(&mut out, header.name);
        let name = out.len() - header.name.len()..out.len();
        push_uint(&mut out, header.version.into());
        push_long(&mut out, header.fingerprint);
        let (unknown, bytes) = header.meta_tail;
        let optional = if unknown > 0 {
            OPTIONAL_META
        } else {
            header.meta.optional_len()
        };
        push_array(&mut out, META_LEN + optional + unknown);
        header.meta.append(&mut out);
        if optional > 0 {
            header.meta.append_optional(optional, &mut out);
        }
        let start = out.len();
        out.extend_from_slice(bytes);
        let meta_tail = MetaTail {
            count: unknown,
            range: start..out.len(),
        };
        push_map(&mut out, count);
        Self {
            out,
            name,
            version: header.version,
            fingerprint: header.fingerprint,
            meta_tail,
            entries: Vec::with_capacity(count),
        }
    }

    /// Appends a field.
    pub(super) fn put(&mut self, name: &str, value: &[u8]) {
        let start = self.out.len();
        push_text(&mut self.out, name);
        let name = self.out.len() - name.len()..self.out.len();
        self.out.extend_from_slice(&EMBEDDED_HEAD);
        push_bytes(&mut self.out, value);
        let value = self.out.len() - value.len()..self.out.len();
        self.entries.push(Entry { start, name, value });
    }

    /// Appends fields of another record, byte by byte as they are there.
    pub(super) fn copy(&mut self, from: &Record, fields: Range<usize>) {
        let fields = from.entries.get(fields).unwrap_or_default();
        let (Some(first), Some(last)) = (fields.first(), fields.last()) else {
            return;
        };
        let (old, new) = (first.start, self.out.len());
        self.out.extend_from_slice(from.slice(&(old..last.value.end)));
        let moved = |at: usize| at - old + new;
        self.entries
            .extend(fields.iter().map(|Entry { start, name, value }| Entry {
                start: moved(*start),
                name: moved(name.start)..moved(name.end),
                value: moved(value.start)..moved(value.end),
            }));
    }

    /// The record. `meta` is that of its header.
    pub(super) fn finish(self, meta: &Meta) -> Record {
        Record {
            bytes: self.out.into(),
            name: self.name,
            version: self.version,
            fingerprint: self.fingerprint,
            meta: meta.clone(),
            meta_tail: self.meta_tail,
            entries: self.entries,
        }
    }
}

impl Record {
    /// Reads a record; its fields stay in `bytes`.
    pub fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
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
        let name = last_read(&reader, name.as_bytes());
        let version = u32::try_from(reader.uint()?).map_err(|_| RecordErrorKind::Range("its version"))?;
        let fingerprint = reader.uint()?;
        let more = if reader.skip_prefix(&META_HEAD) {
            0
        } else {
            further_count(&mut reader)?
        };
        let mut meta = Meta::read(&mut reader)?;
        let meta_tail = if more == 0 {
            MetaTail::default()
        } else {
            meta.read_optional(&mut reader, more.min(OPTIONAL_META))?;
            MetaTail::read(&mut reader, more.saturating_sub(OPTIONAL_META))?
        };
        let count = reader.map()?;
        // A field takes at least four bytes: the heads of name, tag and value.
        let mut entries = Vec::with_capacity(count.min(reader.remaining() / 4));
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
            entries.push(Entry { start, name, value });
        }
        reader.end()?;
        let record = || Self {
            bytes: bytes.clone(),
            name,
            version,
            fingerprint,
            meta,
            meta_tail,
            entries,
        };
        // Two expressions rather than one: the compiler then builds the record in place and does not copy it.
        if !is_shortest {
            return Ok(record().with_shortest_heads());
        }
        Ok(record())
    }

    /// The record with the shortest heads around its fields, so that a [`Writer`] may copy them unchanged.
    #[cold]
    fn with_shortest_heads(&self) -> Self {
        let (count, len) = (self.entries.len(), self.bytes.len());
        let mut writer = Writer::new(&self.header(), count, len);
        for (name, value) in self.fields() {
            writer.put(name, value);
        }
        writer.finish(&self.meta)
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
        match (self.idle, self.persistent) {
            (None, None) => 0,
            (Some(_), None) => 1,
            (_, Some(_)) => 2,
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
        Ok(())
    }

    /// Reads the entries that are in every record, without the head of their array.
    #[inline]
    fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let created = Millis(reader.uint()?);
        let renewed = Millis(reader.uint()?);
        let deadline = Millis(reader.uint()?);
        let secret = secret(reader)?;
        let previous = match reader.array()? {
            0 => None,
            2 => Some((self::secret(reader)?, Millis(reader.uint()?))),
            _ => return Err(RecordErrorKind::Range("its previous secret").into()),
        };
        let commits = reader.uint()?;
        let count = reader.array()?;
        if count > NONCES {
            return Err(RecordErrorKind::Range("the number of its nonces").into());
        }
        let mut nonces = Nonces::default();
        for _ in 0..count {
            nonces.push(Nonce(reader.uint()?));
        }
        Ok(Self {
            created,
            renewed,
            deadline,
            secret,
            previous,
            commits,
            nonces,
            idle: None,
            persistent: None,
        })
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
            count,
            range: start..reader.position(),
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
