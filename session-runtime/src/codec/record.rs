//! The record: everything that is stored of one session.
//!
//! ```text
//! 55799([ format, name, version, fingerprint, meta, { field: 24(h'...'), ... } ])
//! meta = [ created, renewed, deadline, secret, [ secret, until ] / [], commits, [ nonce, ... ] ]
//! ```
//!
//! Deterministic CBOR (RFC 8949, section 4.2.1) behind the tag of self-described CBOR (section 3.4.6); each field is
//! embedded CBOR (tag 24, section 3.4.5.1), so that it is decoded alone, and copied where it was not touched.

use std::fmt;

use bytes::Bytes;

use super::cbor::DecodeError;
use super::cbor::head::{Reader, push_array, push_bytes, push_map, push_tag, push_text, push_uint};
use super::meta::{Meta, Millis, NONCES, Nonce, SecretHash};

const SELF_DESCRIBED: u64 = 55799;
const EMBEDDED: u64 = 24;
/// The format of records that this crate writes.
const FORMAT: u64 = 1;

/// What is stored of one session. Fields stay encoded, in slices of the bytes that they came in; `Debug` shows their
/// names alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The schema's name.
    pub name: Box<str>,
    /// The schema's version.
    pub version: u32,
    /// The schema's fingerprint.
    pub fingerprint: u64,
    /// Age, secrets and commits.
    pub meta: Meta,
    fields: Vec<(Box<str>, Bytes)>,
}

/// Bytes that are no record.
#[derive(Debug, thiserror::Error)]
#[error("this is no session record: {0}")]
pub struct RecordError(#[source] RecordErrorKind);

#[derive(Debug, thiserror::Error)]
enum RecordErrorKind {
    #[error("it is not the CBOR of one")]
    Cbor(#[from] DecodeError),
    #[error("it does not begin with the tag of self-described CBOR")]
    NotTagged,
    #[error("its format is {0}, this program reads format {FORMAT}: a newer one wrote it")]
    Format(u64),
    #[error("{0} is out of its range")]
    Range(&'static str),
    #[error("its fields are not in order, or one is there twice")]
    Order,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.fields().map(|(name, _)| name).collect();
        f.debug_struct("Record")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("meta", &self.meta)
            .field("fields", &names)
            .finish_non_exhaustive()
    }
}

impl Record {
    /// A record without fields.
    pub fn new(name: &str, version: u32, fingerprint: u64, meta: Meta) -> Self {
        Self {
            name: name.into(),
            version,
            fingerprint,
            meta,
            fields: Vec::new(),
        }
    }

    /// The encoded value of a field.
    pub fn field(&self, name: &str) -> Option<&Bytes> {
        self.position(name)
            .ok()
            .and_then(|at| self.fields.get(at))
            .map(|(_, value)| value)
    }

    /// All fields, in the order in which they are written.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.fields.iter().map(|(name, value)| (&**name, value))
    }

    /// Puts a field in, or in the place of the one it has.
    pub fn set_field(&mut self, name: &str, value: Bytes) {
        match self.position(name) {
            Ok(at) => self.fields[at].1 = value,
            Err(at) => self.fields.insert(at, (name.into(), value)),
        }
    }

    /// Takes a field out.
    pub fn remove_field(&mut self, name: &str) -> Option<Bytes> {
        self.position(name).ok().map(|at| self.fields.remove(at).1)
    }

    /// Where the field is, or belongs: fields are sorted by their encoded names (RFC 8949, section 4.2.1), for text
    /// that is by length first.
    fn position(&self, name: &str) -> Result<usize, usize> {
        self.fields
            .binary_search_by(|(other, _)| (other.len(), &**other).cmp(&(name.len(), name)))
    }

    /// Writes the record.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.size_hint());
        push_tag(&mut out, SELF_DESCRIBED);
        push_array(&mut out, 6);
        push_uint(&mut out, FORMAT);
        push_text(&mut out, &self.name);
        push_uint(&mut out, self.version.into());
        push_uint(&mut out, self.fingerprint);
        self.meta.encode(&mut out);
        push_map(&mut out, self.fields.len());
        for (name, value) in &self.fields {
            push_text(&mut out, name);
            push_tag(&mut out, EMBEDDED);
            push_bytes(&mut out, value);
        }
        out
    }

    /// Reads a record; its fields are slices of `bytes`.
    pub fn decode(bytes: &Bytes) -> Result<Self, RecordError> {
        Self::read(bytes).map_err(RecordError)
    }

    fn read(bytes: &Bytes) -> Result<Self, RecordErrorKind> {
        let mut reader = Reader::new(bytes);
        if reader.tag()? != SELF_DESCRIBED {
            return Err(RecordErrorKind::NotTagged);
        }
        reader.expect_array(6)?;
        let format = reader.uint()?;
        if format != FORMAT {
            return Err(RecordErrorKind::Format(format));
        }
        let name = reader.text()?.into();
        let version = u32::try_from(reader.uint()?).map_err(|_| RecordErrorKind::Range("its version"))?;
        let fingerprint = reader.uint()?;
        let meta = Meta::decode(&mut reader)?;
        let count = reader.map()?;
        let mut fields: Vec<(Box<str>, Bytes)> = Vec::with_capacity(count);
        for _ in 0..count {
            let name = reader.text()?;
            if fields
                .last()
                .is_some_and(|(last, _)| (last.len(), &**last) >= (name.len(), name))
            {
                return Err(RecordErrorKind::Order);
            }
            if reader.tag()? != EMBEDDED {
                return Err(RecordErrorKind::Range("the tag of a field"));
            }
            fields.push((name.into(), bytes.slice_ref(reader.bytes()?)));
        }
        reader.end()?;
        Ok(Self {
            name,
            version,
            fingerprint,
            meta,
            fields,
        })
    }

    /// How many bytes [`encode`](Self::encode) writes.
    pub fn encoded_len(&self) -> usize {
        self.encode().len()
    }

    fn size_hint(&self) -> usize {
        let fields: usize = self
            .fields
            .iter()
            .map(|(name, value)| name.len() + value.len() + 8)
            .sum();
        160 + self.name.len() + 9 * self.meta.nonces.len() + fields
    }
}

impl Meta {
    fn encode(&self, out: &mut Vec<u8>) {
        push_array(out, 7);
        for time in [self.created, self.renewed, self.deadline] {
            push_uint(out, time.0);
        }
        push_bytes(out, &self.secret.0);
        push_array(out, if self.previous.is_some() { 2 } else { 0 });
        if let Some((secret, until)) = &self.previous {
            push_bytes(out, &secret.0);
            push_uint(out, until.0);
        }
        push_uint(out, self.commits);
        push_array(out, self.nonces.len());
        for nonce in &self.nonces {
            push_uint(out, nonce.0);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, RecordErrorKind> {
        reader.expect_array(7)?;
        let created = Millis(reader.uint()?);
        let renewed = Millis(reader.uint()?);
        let deadline = Millis(reader.uint()?);
        let secret = secret(reader)?;
        let previous = match reader.array()? {
            0 => None,
            2 => Some((self::secret(reader)?, Millis(reader.uint()?))),
            _ => return Err(RecordErrorKind::Range("the secret before")),
        };
        let commits = reader.uint()?;
        let count = reader.array()?;
        if count > NONCES {
            return Err(RecordErrorKind::Range("the number of its nonces"));
        }
        let mut nonces = Vec::with_capacity(count);
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
        })
    }
}

fn secret(reader: &mut Reader<'_>) -> Result<SecretHash, RecordErrorKind> {
    reader
        .bytes()?
        .try_into()
        .map(SecretHash)
        .map_err(|_| RecordErrorKind::Range("the length of a secret"))
}
