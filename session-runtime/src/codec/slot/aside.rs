use bytes::Bytes;

use crate::codec::record::Record;

/// The bytes of a field that did not decode, kept in the record as `~<version>~<field>`: a binary that can read what
/// that version wrote finds them there again.
pub(super) struct Aside {
    name: Box<str>,
    bytes: Bytes,
    recovered: bool,
}

impl Aside {
    /// Sets aside what a record of `version` holds for `field`.
    pub(super) fn keep(version: u32, field: &str, bytes: Bytes) -> Self {
        Self {
            name: format!("~{version}~{field}").into(),
            bytes,
            recovered: false,
        }
    }

    /// What an earlier request set aside for `field`, with the version that wrote it.
    pub(super) fn find(record: &Record, field: &str) -> Option<(u32, Self)> {
        record.fields().find_map(|(name, bytes)| {
            let (version, of) = name.strip_prefix('~')?.split_once('~')?;
            let version = version.parse().ok().filter(|_| of == field)?;
            let aside = Self {
                name: name.into(),
                bytes: bytes.clone(),
                recovered: false,
            };
            Some((version, aside))
        })
    }

    /// The same, to be dropped: its bytes decoded after all.
    pub(super) fn recovered(&self) -> Self {
        Self {
            name: self.name.clone(),
            bytes: Bytes::new(),
            recovered: true,
        }
    }

    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub(super) fn to_write(&self, changed: bool) -> (&str, Option<&Bytes>) {
        (&self.name, (!changed && !self.recovered).then_some(&self.bytes))
    }
}
