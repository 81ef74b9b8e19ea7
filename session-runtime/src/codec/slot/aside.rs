use bytes::Bytes;

use crate::codec::record::Record;

/// The bytes of a field that did not decode, kept in the record as `~<version>~<field>`: a binary that can read what
/// that version wrote finds them there again.
pub(super) struct Aside {
    name: Box<str>,
    /// `None` where they decoded after all, and need not be kept any longer.
    bytes: Option<Bytes>,
}

impl Aside {
    /// Sets aside what a record of `version` holds for `field`.
    pub(super) fn keep(version: u32, field: &str, bytes: Bytes) -> Self {
        Self {
            name: format!("~{version}~{field}").into(),
            bytes: Some(bytes),
        }
    }

    /// What an earlier request set aside for `field`, with the version that wrote it.
    pub(super) fn find(record: &Record, field: &str) -> Option<(u32, Bytes, Self)> {
        let mut names = record.fields().map(|(name, _)| name);
        let (version, name) = names.find_map(|name| Some((version_of(name, field)?, name)))?;
        let bytes = record.field_bytes(name)?;
        let aside = Self {
            name: name.into(),
            bytes: Some(bytes.clone()),
        };
        Some((version, bytes, aside))
    }

    /// The same, to be dropped.
    pub(super) fn recovered(self) -> Self {
        Self { bytes: None, ..self }
    }

    pub(super) fn to_write(&self) -> (&str, Option<&Bytes>) {
        (&self.name, self.bytes.as_ref())
    }
}

/// Forgets what was set aside for `field`: it has been written on purpose.
pub(crate) fn drop_aside(record: &mut Record, field: &str) {
    let names: Vec<Box<str>> = record
        .fields()
        .filter(|(name, _)| version_of(name, field).is_some())
        .map(|(name, _)| name.into())
        .collect();
    for name in names {
        record.remove_field(&name);
    }
}

fn version_of(name: &str, field: &str) -> Option<u32> {
    let (version, of) = name.strip_prefix('~')?.split_once('~')?;
    version.parse().ok().filter(|_| of == field)
}
