use crate::session::record::{Draft, Record};

/// The bytes of a field that did not decode, kept in the record under `~<version>~<field>`. A binary that can decode what
/// that version wrote restores them.
pub(super) struct QuarantinedField {
    name: Box<str>,
    /// `None` once they have been restored or replaced, and are to be dropped.
    bytes: Option<Box<[u8]>>,
}

impl QuarantinedField {
    /// Quarantines the bytes of `field` in a record of `version`.
    pub(super) fn new(version: u32, field: &str, bytes: &[u8]) -> Self {
        Self {
            name: format!("~{version}~{field}").into(),
            bytes: Some(bytes.into()),
        }
    }

    /// The quarantined bytes of `field` in a record, with the version that wrote them.
    pub(super) fn find<'a>(record: &'a Record, field: &str) -> Option<(u32, &'a [u8], Self)> {
        let (version, name, bytes) = record
            .fields()
            .find_map(|(name, bytes)| Some((version_of(name, field)?, name, bytes)))?;
        let quarantined = Self {
            name: name.into(),
            bytes: Some(bytes.into()),
        };
        Some((version, bytes, quarantined))
    }

    /// Marks the bytes to be dropped.
    pub(super) fn released(self) -> Self {
        Self { bytes: None, ..self }
    }

    /// The name under which the record is to keep the bytes; `None` for the bytes where it is to drop them.
    pub(super) fn entry(&self) -> (&str, Option<&[u8]>) {
        (&self.name, self.bytes.as_deref())
    }
}

/// Drops the quarantined bytes of `field`, which the application has written since.
pub(crate) fn drop_quarantined(draft: &mut Draft<'_>, field: &str) {
    for (name, _) in draft.from().fields() {
        if version_of(name, field).is_some() {
            draft.remove(name);
        }
    }
}

fn version_of(name: &str, field: &str) -> Option<u32> {
    let (version, of) = name.strip_prefix('~')?.split_once('~')?;
    version.parse().ok().filter(|_| of == field)
}
