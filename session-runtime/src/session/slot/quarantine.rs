use crate::session::record::{Draft, Record};

/// The bytes of a field that did not decode, kept in the record as `~<version>~<field>`: a binary that can read what
/// that version wrote finds them there again.
pub(super) struct QuarantinedField {
    name: Box<str>,
    /// `None` where they decoded after all, and need not be kept any longer.
    bytes: Option<Box<[u8]>>,
}

impl QuarantinedField {
    /// Quarantines what a record of `version` holds for `field`.
    pub(super) fn new(version: u32, field: &str, bytes: &[u8]) -> Self {
        Self {
            name: format!("~{version}~{field}").into(),
            bytes: Some(bytes.into()),
        }
    }

    /// What an earlier request set quarantined for `field`, with the version that wrote it.
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

    /// The same, to be dropped.
    pub(super) fn released(self) -> Self {
        Self { bytes: None, ..self }
    }

    pub(super) fn entry(&self) -> (&str, Option<&[u8]>) {
        (&self.name, self.bytes.as_deref())
    }
}

/// Forgets what was quarantined for `field`: it has been written on purpose.
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
