//! How a record is written and read.

use bytes::Bytes;

use super::{Entry, Record, Span, order};
use crate::codec::cbor::DecodeError;
use crate::codec::cbor::head::{
    Reader, head_len, push_array, push_bytes, push_map, push_tag, push_uint, push_utf8, string_len,
};
use crate::codec::meta::{Meta, Millis, NONCES, Nonce, Nonces, SecretHash};

const SELF_DESCRIBED: u64 = 55799;
const EMBEDDED: u64 = 24;
/// [`EMBEDDED`] as it is written.
const EMBEDDED_HEAD: [u8; 2] = [0xd8, 0x18];
/// The format of records that this crate writes.
const FORMAT: u64 = 1;

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

impl Record {
    /// Writes the record.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.append(&mut out);
        out
    }

    /// Writes the record behind what `out` holds.
    pub fn append(&self, out: &mut Vec<u8>) {
        push_tag(out, SELF_DESCRIBED);
        push_array(out, 6);
        push_uint(out, FORMAT);
        push_utf8(out, self.part(self.name));
        push_uint(out, self.version.into());
        push_uint(out, self.fingerprint);
        self.meta.append(out);
        push_map(out, self.entries.len());
        // What lies in the source as it is to be written, one entry behind the other, is copied at one go.
        let mut run = 0..0;
        for entry in &self.entries {
            if let Some(start) = entry.written {
                if start != run.end {
                    out.extend_from_slice(self.source.get(run).unwrap_or_default());
                    run = start..start;
                }
                run.end = entry.value.end;
                continue;
            }
            out.extend_from_slice(self.source.get(run).unwrap_or_default());
            run = 0..0;
            push_utf8(out, self.part(entry.name));
            out.extend_from_slice(&EMBEDDED_HEAD);
            push_bytes(out, self.part(entry.value));
        }
        out.extend_from_slice(self.source.get(run).unwrap_or_default());
    }

    /// How many bytes [`append`](Self::append) writes.
    pub fn encoded_len(&self) -> usize {
        let fields = self.entries.iter().map(|entry| match entry.written {
            Some(start) => entry.value.end - start,
            None => entry.len(),
        });
        head_len(SELF_DESCRIBED)
            + head_len(6)
            + head_len(FORMAT)
            + string_len(self.name.len())
            + head_len(self.version.into())
            + head_len(self.fingerprint)
            + self.meta.encoded_len()
            + head_len(self.entries.len() as u64)
            + fields.sum::<usize>()
    }

    /// Reads a record; its fields stay in `bytes`.
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
        let name = reader.text()?;
        let name = last_read(&reader, name.as_bytes());
        let version = u32::try_from(reader.uint()?).map_err(|_| RecordErrorKind::Range("its version"))?;
        let fingerprint = reader.uint()?;
        let meta = Meta::read(&mut reader)?;
        let count = reader.map()?;
        let mut entries = Vec::with_capacity(count);
        let mut before: Option<&[u8]> = None;
        for _ in 0..count {
            let start = reader.position();
            let name = reader.text()?.as_bytes();
            if before.is_some_and(|before| order(before, name).is_ge()) {
                return Err(RecordErrorKind::Order);
            }
            before = Some(name);
            let name = last_read(&reader, name);
            if !reader.passes(&EMBEDDED_HEAD) && reader.tag()? != EMBEDDED {
                return Err(RecordErrorKind::Range("the tag of a field"));
            }
            let value = reader.bytes()?;
            let value = last_read(&reader, value);
            let mut entry = Entry {
                name,
                value,
                written: None,
            };
            // Heads have one shortest form, so that no other entry has this length.
            if value.end - start == entry.len() {
                entry.written = Some(start);
            }
            entries.push(entry);
        }
        reader.end()?;
        Ok(Self {
            version,
            fingerprint,
            meta,
            name,
            source: bytes.clone(),
            added: Vec::new(),
            entries,
        })
    }
}

impl Entry {
    /// How many bytes it is to be written in.
    fn len(&self) -> usize {
        string_len(self.name.len()) + EMBEDDED_HEAD.len() + string_len(self.value.len())
    }
}

/// Where the string lies that was just read.
fn last_read(reader: &Reader<'_>, string: &[u8]) -> Span {
    let end = reader.position();
    Span {
        buffer: 0,
        start: end - string.len(),
        end,
    }
}

impl Meta {
    fn append(&self, out: &mut Vec<u8>) {
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
        for nonce in &*self.nonces {
            push_uint(out, nonce.0);
        }
    }

    fn encoded_len(&self) -> usize {
        let times = [self.created, self.renewed, self.deadline];
        let previous = self.previous.as_ref();
        head_len(7)
            + times.iter().map(|time| head_len(time.0)).sum::<usize>()
            + string_len(self.secret.0.len())
            + head_len(2)
            + previous.map_or(0, |(secret, until)| string_len(secret.0.len()) + head_len(until.0))
            + head_len(self.commits)
            + head_len(NONCES as u64)
            + self.nonces.iter().map(|nonce| head_len(nonce.0)).sum::<usize>()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, RecordErrorKind> {
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
