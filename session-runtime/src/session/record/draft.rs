use std::borrow::Cow;
use std::fmt;

use smallvec::SmallVec;

use super::wire::{Header, Writer};
use super::{Record, order};
use crate::session::meta::Meta;

/// A record that is to replace another one.
pub struct Draft<'a> {
    from: &'a Record,
    /// The schema's name.
    pub name: &'a str,
    /// The schema's version.
    pub version: u32,
    /// The schema's fingerprint.
    pub fingerprint: u64,
    /// Age, secrets and commits.
    pub meta: Meta,
    /// Sorted by [`order`], at most one for each name.
    edits: SmallVec<[Edit<'a>; 1]>,
}

struct Edit<'a> {
    name: Cow<'a, str>,
    /// The position of the field in the old record: where it is, or where it is to be inserted.
    at: Result<usize, usize>,
    /// `None` to remove the field.
    value: Option<Cow<'a, [u8]>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(from: &'a Record) -> Self {
        Self {
            from,
            name: from.name(),
            version: from.0.version,
            fingerprint: from.0.fingerprint,
            meta: from.0.meta.clone(),
            edits: SmallVec::new(),
        }
    }

    /// The record that is to be replaced.
    pub fn from(&self) -> &'a Record {
        self.from
    }

    /// Inserts a field, or replaces its value.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, [u8]>>) {
        self.edit(name.into(), Some(value.into()));
    }

    /// Removes a field, if it is there.
    pub fn remove(&mut self, name: impl Into<Cow<'a, str>>) {
        self.edit(name.into(), None);
    }

    fn edit(&mut self, name: Cow<'a, str>, value: Option<Cow<'a, [u8]>>) {
        let at = self.from.position(&name, 0);
        self.edit_at(at, name, value);
    }

    /// As [`set`](Self::set) and [`remove`](Self::remove), where the field's [`position`](Record::position) is known.
    pub(in crate::session) fn edit_at(
        &mut self,
        at: Result<usize, usize>,
        name: Cow<'a, str>,
        value: Option<Cow<'a, [u8]>>,
    ) {
        let (Ok(index) | Err(index)) = at;
        let is_before = |edit: &Edit<'_>| edit.at.unwrap_or_else(|at| at) < index;
        let by_name = |edit: &Edit<'_>| order(edit.name.as_bytes(), name.as_bytes());
        let found = if self.edits.last().is_none_or(is_before) {
            Err(self.edits.len())
        } else {
            self.edits.binary_search_by(by_name)
        };
        match found {
            Ok(found) => self.edits[found].value = value,
            Err(insert_at) => self.edits.insert(insert_at, Edit { name, at, value }),
        }
    }

    /// Reserves capacity for so many more edits.
    pub(in crate::session) fn reserve(&mut self, edits: usize) {
        self.edits.reserve_exact(edits);
    }

    /// The new record.
    #[inline]
    pub fn finish(self) -> Record {
        self.write()
    }

    /// As [`finish`](Self::finish), by reference: a draft is large, and moving it costs a copy.
    pub(crate) fn write(&self) -> Record {
        /// What one more nonce, and longer heads, may add.
        const GROWTH: usize = 32;
        let (mut count, mut len) = (
            self.from.0.entries.len(),
            self.from.0.bytes.len() + GROWTH + self.name.len(),
        );
        for Edit { name, at, value } in &self.edits {
            count = count + usize::from(value.is_some()) - usize::from(at.is_ok());
            let old = at.ok().and_then(|at| self.from.value_range(at));
            len -= old.map_or(0, |old| old.len());
            len += name.len() + value.as_ref().map_or(0, |value| value.len());
        }
        let header = Header {
            name: self.name,
            version: self.version,
            fingerprint: self.fingerprint,
            meta: &self.meta,
            meta_tail: (self.from.0.meta_tail.count, self.from.unknown_meta()),
        };
        Record::write(|contents| {
            let mut writer = Writer::new(contents, &header, count, len);
            let mut next = 0;
            for Edit { name, at, value } in &self.edits {
                let (Ok(old) | Err(old)) = *at;
                writer.copy(self.from, next..old);
                next = old + usize::from(at.is_ok());
                if let Some(value) = value {
                    writer.put(name, value);
                }
            }
            writer.copy(self.from, next..self.from.0.entries.len());
            writer.finish();
        })
    }
}

/// Shows the names of the changed fields, but not their values, which may be secret.
impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.edits.iter().map(|edit| &edit.name).collect();
        f.debug_struct("Draft")
            .field("from", self.from)
            .field("name", &self.name)
            .field("version", &self.version)
            .field("fingerprint", &self.fingerprint)
            .field("meta", &self.meta)
            .field("fields", &names)
            .finish()
    }
}
