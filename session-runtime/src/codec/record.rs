//! The record: everything that is stored of one session.

use bytes::Bytes;

use super::meta::Meta;

/// What is stored of one session. Fields stay encoded, in slices of the bytes that they came in.
#[derive(Clone, Debug, PartialEq, Eq)]
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
}
