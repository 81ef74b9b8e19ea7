//! The changes that one request made to a session, independent of the record it loaded, so that they can be applied to
//! the record that another request has stored since.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use super::Session;
use super::error::FieldError;
use super::merge::{MergeError, ThreeWay};
use super::record::Draft;
use super::schema::{FieldSpec, Schema};
use super::slot::drop_quarantined;

/// A changed field, or a privileged one that was set to the value that it had.
#[derive(Clone, Debug)]
struct FieldChange {
    spec: &'static FieldSpec,
    /// The index of the field in the schema.
    index: usize,
    /// Where in [`Changes::values`] its old value is; `None` where the record had no such field.
    base: Option<Range<usize>>,
    /// Where in [`Changes::values`] its new value is.
    ours: Range<usize>,
    /// Whether it is privileged and was set as a whole: it counts even if both values are the same, since signing in
    /// again must rotate the secret.
    is_deliberate: bool,
}

/// The changed fields of one session.
#[derive(Clone, Default)]
pub struct Changes {
    /// Most requests change one.
    list: SmallVec<[FieldChange; 1]>,
    /// The old and new values, one after the other.
    values: Vec<u8>,
}

/// Why changes cannot be applied to a record.
#[derive(Clone, Debug)]
pub struct ChangeError {
    /// The field, and the cause.
    pub source: Arc<FieldError>,
    /// Whether the field's strategy is `reject`, so that this is the conflict that the strategy asks for.
    pub is_rejected: bool,
}

impl From<FieldError> for ChangeError {
    fn from(error: FieldError) -> Self {
        Self {
            source: Arc::new(error),
            is_rejected: false,
        }
    }
}

impl Changes {
    /// The changes in `fields` since they were opened, without fields that were touched but have their old value. A
    /// privileged field that was set as a whole is kept even so, except in a new session, whose secret nobody has.
    pub fn collect<T: Session>(fields: &T::Fields) -> Result<Self, FieldError> {
        /// By how much a new value is assumed to be longer than the old one.
        const GROWTH: usize = 16;
        let record = T::record(fields);
        let touched = || {
            let slots = T::SCHEMA.fields.iter().enumerate();
            slots.filter_map(|(at, spec)| Some((at, spec, T::slot(fields, at).filter(|slot| slot.is_touched())?)))
        };
        let sizes = touched().map(|(_, _, slot)| 2 * slot.base(record).map_or(0, <[u8]>::len) + GROWTH);
        let (count, size) = sizes.fold((0, 0), |(count, size), next| (count + 1, size + next));
        if count == 0 {
            return Ok(Self::default());
        }
        let mut list = SmallVec::with_capacity(count);
        let mut values = Vec::with_capacity(size);
        for (index, spec, slot) in touched() {
            let cannot_encode = |error| FieldError::new(T::SCHEMA.name, spec.name, "encode", error);
            let start = values.len();
            slot.append(record, &mut values).map_err(cannot_encode)?;
            let ours = start..values.len();
            let base = slot.base(record);
            match base {
                Some(base) => values.extend_from_slice(base),
                None => (spec.default)(&mut values).map_err(cannot_encode)?,
            }
            let is_deliberate = spec.privileged && slot.is_set();
            if values[ours.clone()] == values[ours.end..] && (!is_deliberate || record.is_empty()) {
                values.truncate(start);
                continue;
            }
            let base = base.map(|_| ours.end..values.len());
            list.push(FieldChange {
                spec,
                index,
                base,
                ours,
                is_deliberate,
            });
        }
        Ok(Self { list, values })
    }

    /// Whether nothing was changed, and no privileged field set.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many fields were changed, or are privileged and were set.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The name of a privileged field that was changed, or set to the value that it had.
    pub fn privileged(&self) -> Option<&'static str> {
        let mut specs = self.list.iter().map(|change| change.spec);
        specs.find(|spec| spec.privileged).map(|spec| spec.name)
    }

    /// The new value of a field, where it was changed or is privileged and was set.
    pub fn value_of(&self, field: &str) -> Option<&[u8]> {
        let change = self.list.iter().find(|change| change.spec.name == field)?;
        Some(self.ours(change))
    }

    /// Adds `later` changes of the same request, made after these or concurrently. A field that is back at its old value
    /// is no longer a change, unless it is privileged and was set as a whole. Leaves `self` unchanged on error.
    pub fn stage(&mut self, schema: &'static Schema, later: Self) -> Result<(), ChangeError> {
        if self.is_empty() {
            *self = later;
            return Ok(());
        }
        let (mut list, mut values) = (self.list.clone(), self.values.clone());
        for change in &later.list {
            let (spec, base, ours) = (change.spec, later.base(change), later.ours(change));
            let earlier = list.iter_mut().find(|earlier| earlier.spec.name == spec.name);
            if let Some(earlier) = earlier {
                let theirs = Some(&values[earlier.ours.clone()]);
                let merged = reconcile(schema, spec, base, theirs, ours)?;
                earlier.ours = push_value(&mut values, &merged);
                earlier.is_deliberate |= change.is_deliberate;
            } else {
                let base = base.map(|base| push_value(&mut values, base));
                let ours = push_value(&mut values, ours);
                list.push(FieldChange { base, ours, ..*change });
            }
        }
        *self = Self { list, values }.prune_noops();
        Ok(())
    }

    /// Only the fields whose new value differs from the old one or was set deliberately, and only the values in use: a
    /// session that is staged again and again must not accumulate its earlier values.
    fn prune_noops(&self) -> Self {
        let mut kept = Self::default();
        for change in &self.list {
            if change.is_deliberate || !self.is_noop(change) {
                let (base, ours) = (self.base(change), self.ours(change));
                let ours = push_value(&mut kept.values, ours);
                let base = base.map(|base| push_value(&mut kept.values, base));
                kept.list.push(FieldChange { base, ours, ..*change });
            }
        }
        kept
    }

    fn is_noop(&self, change: &FieldChange) -> bool {
        let (base, ours) = (self.base(change), self.ours(change));
        let mut default = Vec::new();
        match base {
            Some(base) => base == ours,
            None => (change.spec.default)(&mut default).is_ok() && default == ours,
        }
    }

    /// Applies the changes to a record, merging each field that another writer has changed since. A field that was set to
    /// the value that it had, and has still, is not written.
    pub fn apply<'a>(&'a self, schema: &'static Schema, draft: &mut Draft<'a>) -> Result<(), ChangeError> {
        draft.reserve(self.list.len());
        let (record, mut missing) = (draft.from(), 0);
        for change in &self.list {
            let FieldChange { spec, index, .. } = change;
            let at = record.position(spec.name, index.saturating_sub(missing));
            missing = index - at.unwrap_or_else(|at| at).min(*index);
            let theirs = at.ok().and_then(|at| record.bytes().get(record.value_range(at)?));
            let (base, ours) = (self.base(change), self.ours(change));
            let value = if base == theirs {
                if change.is_deliberate && self.is_noop(change) {
                    continue;
                }
                Cow::Borrowed(ours)
            } else {
                reconcile(schema, spec, base, theirs, ours)?
            };
            draft.edit_at(at, spec.name.into(), Some(value));
            if spec.default_on_invalid {
                drop_quarantined(draft, spec.name);
            }
        }
        Ok(())
    }

    fn base(&self, change: &FieldChange) -> Option<&[u8]> {
        change.base.clone().map(|base| &self.values[base])
    }

    fn ours(&self, change: &FieldChange) -> &[u8] {
        &self.values[change.ours.clone()]
    }
}

/// Appends a value, and returns where it is.
fn push_value(values: &mut Vec<u8>, value: &[u8]) -> Range<usize> {
    let start = values.len();
    values.extend_from_slice(value);
    start..values.len()
}

/// Shows the names of the fields, but not their values, which may be secret.
impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.list.iter().map(|change| change.spec.name))
            .finish()
    }
}

/// The value of a field that this request changed from `base` to `ours`, and another one to `theirs`.
fn reconcile<'a>(
    schema: &'static Schema,
    spec: &'static FieldSpec,
    base: Option<&[u8]>,
    theirs: Option<&[u8]>,
    ours: &'a [u8],
) -> Result<Cow<'a, [u8]>, ChangeError> {
    let mut default = Vec::new();
    let is_absent = theirs.is_none();
    if base.is_none() || theirs.is_none() {
        (spec.default)(&mut default).map_err(|error| FieldError::new(schema.name, spec.name, "encode", error))?;
    }
    let (base, theirs) = (base.unwrap_or(&default), theirs.unwrap_or(&default));
    // Not also where theirs equals ours: two writers that each added one have the same value, and both additions count.
    if base == theirs {
        return Ok(ours.into());
    }
    let merged = (spec.merge)(&ThreeWay { base, theirs, ours });
    if is_absent && merged.as_ref().is_err_and(MergeError::is_rejected) {
        // Nobody else has written the field of a session that is begun anew.
        return Ok(ours.into());
    }
    merged.map(Cow::Owned).map_err(|error: MergeError| ChangeError {
        is_rejected: error.is_rejected(),
        source: Arc::new(FieldError::new(schema.name, spec.name, "merge", error)),
    })
}
