//! What one request changed in a session, apart from the record that it was changed in, so that it can be made again
//! on top of what others wrote.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::merge::{MergeError, Three};
use super::meta::{Meta, Millis, Nonce, SecretHash, Standing};
use super::record::{Draft, Record};
use super::slot::drop_aside;
use super::{FieldError, OpenError};
use crate::cascade::protocol::Change;
use crate::session::{FieldSpec, Migrate, Schema, Session};
use crate::tier::Version;

/// One field, changed.
#[derive(Clone, Debug)]
struct FieldChange {
    spec: &'static FieldSpec,
    /// Which of the schema's fields it is.
    index: usize,
    /// Where in [`Changes::values`] the value is that it had; `None` where the record had no such field.
    base: Option<Range<usize>>,
    /// Where in [`Changes::values`] its new value is.
    ours: Range<usize>,
}

/// The changed fields of one session.
#[derive(Clone, Default)]
pub struct Changes {
    /// Most requests change one.
    list: SmallVec<[FieldChange; 1]>,
    /// Old values and new ones, one behind the other.
    values: Vec<u8>,
}

/// A new secret, and what becomes of the one before.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Of the new secret.
    pub secret: SecretHash,
    /// How long the one before is honoured yet; `None` where it ends at once, because who the session belongs to has
    /// changed.
    pub grace: Option<Duration>,
}

/// Everything that one commit does to a record.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The session's schema.
    pub schema: &'static Schema,
    /// Brings the record up to that schema.
    pub migrate: Migrate,
    /// The changed fields.
    pub changes: Changes,
    /// Of the secret that the request came with.
    pub presented: SecretHash,
    /// The new secret, if there is to be one.
    pub rotation: Option<Rotation>,
    /// Names this commit.
    pub nonce: Nonce,
    /// How many commits the record had seen when it was loaded.
    pub base_commits: u64,
    /// The time of the commit.
    pub now: Millis,
    /// The largest record, in bytes.
    pub max_len: usize,
}

/// Why a patch cannot be applied.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// The session has another secret now.
    Superseded,
    /// The record, as another request has written it, cannot be opened.
    Open(Arc<OpenError>),
    /// Two writers of a field are not to be reconciled, or cannot be.
    Field(Arc<FieldError>, /* by its strategy */ bool),
    /// The record would be too large. Sizes in bytes.
    TooLarge {
        /// The size that it would have.
        size: usize,
        /// The largest size.
        limit: usize,
    },
}

impl Changes {
    /// What was changed in `fields` since they were opened. A field that was touched and left as it was is not in it.
    pub fn collect<T: Session>(fields: &T::Fields) -> Result<Self, FieldError> {
        /// What a value is taken to need beyond what it needed before.
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
            if values[ours.clone()] == values[ours.end..] {
                values.truncate(start);
                continue;
            }
            let base = base.map(|_| ours.end..values.len());
            list.push(FieldChange {
                spec,
                index,
                base,
                ours,
            });
        }
        Ok(Self { list, values })
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many fields were changed.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The name of a privileged field that was changed.
    pub fn privileged(&self) -> Option<&'static str> {
        let mut specs = self.list.iter().map(|change| change.spec);
        specs.find(|spec| spec.privileged).map(|spec| spec.name)
    }

    /// Adds `later`, which were made within the same request on top of these, or beside them. What they undo is no
    /// change any more. After an error these are as they were.
    pub fn fold(&mut self, schema: &'static Schema, later: Self) -> Result<(), Refusal> {
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
                earlier.ours = keep(&mut values, &merged);
            } else {
                let base = base.map(|base| keep(&mut values, base));
                let ours = keep(&mut values, ours);
                list.push(FieldChange { base, ours, ..*change });
            }
        }
        *self = Self { list, values }.without_undone();
        Ok(())
    }

    /// Those that are changes still, and of the values only what they hold: a session that is changed again and again
    /// must not keep all that it ever was.
    fn without_undone(&self) -> Self {
        let mut kept = Self::default();
        for change in &self.list {
            let (base, ours) = (self.base(change), self.ours(change));
            let mut default = Vec::new();
            let is_undone = match base {
                Some(base) => base == ours,
                None => (change.spec.default)(&mut default).is_ok() && default == ours,
            };
            if !is_undone {
                let ours = keep(&mut kept.values, ours);
                let base = base.map(|base| keep(&mut kept.values, base));
                kept.list.push(FieldChange { base, ours, ..*change });
            }
        }
        kept
    }

    /// Makes the changes in a record.
    pub fn apply<'a>(&'a self, schema: &'static Schema, draft: &mut Draft<'a>) -> Result<(), Refusal> {
        draft.reserve(self.list.len());
        let (record, mut missing) = (draft.from(), 0);
        for change in &self.list {
            let FieldChange { spec, index, .. } = change;
            let at = record.position(spec.name, index.saturating_sub(missing));
            missing = index - at.unwrap_or_else(|at| at).min(*index);
            let theirs = at.ok().and_then(|at| record.bytes().get(record.place(at)?));
            let (base, ours) = (self.base(change), self.ours(change));
            let value = if base == theirs {
                Cow::Borrowed(ours)
            } else {
                reconcile(schema, spec, base, theirs, ours)?
            };
            draft.edit_at(at, spec.name.into(), Some(value));
            if spec.or_default {
                drop_aside(draft, spec.name);
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

/// Puts a value behind the others, and says where it is.
fn keep(values: &mut Vec<u8>, value: &[u8]) -> Range<usize> {
    let start = values.len();
    values.extend_from_slice(value);
    start..values.len()
}

/// The names of the fields. Never their values, which may be secrets.
impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.list.iter().map(|change| change.spec.name))
            .finish()
    }
}

/// The value of a field that went from `base` to `ours` here and from `base` to `theirs` elsewhere.
fn reconcile<'a>(
    schema: &'static Schema,
    spec: &'static FieldSpec,
    base: Option<&[u8]>,
    theirs: Option<&[u8]>,
    ours: &'a [u8],
) -> Result<Cow<'a, [u8]>, Refusal> {
    let mut default = Vec::new();
    if base.is_none() || theirs.is_none() {
        (spec.default)(&mut default).map_err(|error| {
            let error = FieldError::new(schema.name, spec.name, "encode", error);
            Refusal::Field(Arc::new(error), false)
        })?;
    }
    let (base, theirs) = (base.unwrap_or(&default), theirs.unwrap_or(&default));
    // Only where they changed nothing. Where they came to the very value that we did, it is still for the strategy to
    // say what the two come to: of two that added one, both count.
    if base == theirs {
        return Ok(ours.into());
    }
    let merged = (spec.merge)(&Three { base, theirs, ours });
    merged.map(Cow::Owned).map_err(|error: MergeError| {
        let rejected = error.is_rejected();
        Refusal::Field(
            Arc::new(FieldError::new(schema.name, spec.name, "merge", error)),
            rejected,
        )
    })
}

/// The record as the present program writes it.
pub fn migrate<T: Session>(record: &Record) -> Result<Cow<'_, Record>, OpenError> {
    let schema = T::SCHEMA;
    let same = (record.version(), record.fingerprint()) == (schema.version, schema.fingerprint);
    if same && !schema.fields.iter().any(|spec| spec.or_default) {
        return Ok(Cow::Borrowed(record));
    }
    // As each struct before this one would have written it: what one of them had to set aside is kept.
    let before = match schema.migrate_to_previous {
        Some(migrate) if record.version() < schema.version => migrate(record)?,
        _ => Cow::Borrowed(record),
    };
    let fields = T::open(&before)?;
    let opened = T::record(&fields);
    let mut draft = before.draft();
    for (index, spec) in schema.fields.iter().enumerate() {
        let Some(slot) = T::slot(&fields, index) else { continue };
        match slot.base(opened) {
            _ if slot.is_stored(opened) => {}
            Some(base) => draft.set(spec.name, base),
            // It did not decode, and goes aside.
            None => draft.remove(spec.name),
        }
        match slot.aside(opened) {
            Some((name, Some(bytes))) => draft.set(name, bytes),
            Some((name, None)) => draft.remove(name),
            None => {}
        }
    }
    if record.version() < schema.version {
        schema.gone().for_each(|name| draft.remove(name));
    }
    schema.removed.iter().for_each(|name| draft.remove(*name));
    (draft.version, draft.fingerprint) = (schema.version, schema.fingerprint);
    Ok(Cow::Owned(draft.finish()))
}

impl Patch {
    /// Whether all that it does is to note that the session was used.
    pub fn only_renews(&self) -> bool {
        self.changes.is_empty() && self.rotation.is_none()
    }

    /// A record that has never been stored, with the patch made.
    pub fn create(&self, meta: &Meta) -> Result<Record, Refusal> {
        let empty = Record::new(self.schema, meta);
        let mut draft = empty.draft();
        self.changes.apply(self.schema, &mut draft)?;
        self.finish(&mut draft)
    }

    /// What the rotation does to the secrets of a session: nothing where another request has rotated it already, so
    /// that a browser that gets both answers has a secret that counts, whichever comes last.
    fn rotate(&self, meta: &mut Meta, standing: Standing) {
        match self.rotation {
            Some(Rotation { secret, grace: None }) => (meta.secret, meta.previous) = (secret, None),
            Some(Rotation {
                secret,
                grace: Some(grace),
            }) if standing == Standing::Current => {
                meta.previous = Some((meta.secret, self.now.after(grace)));
                meta.secret = secret;
            }
            _ => {}
        }
    }

    fn finish(&self, draft: &mut Draft<'_>) -> Result<Record, Refusal> {
        draft.meta.push(self.nonce);
        draft.meta.renewed = draft.meta.renewed.max(self.now);
        let record = draft.write();
        let (size, limit) = (record.bytes().len(), self.max_len);
        if size > limit {
            return Err(Refusal::TooLarge { size, limit });
        }
        Ok(record)
    }
}

impl Change<Record> for Patch {
    type Error = Refusal;

    fn apply(&self, to: &Record) -> Result<Record, Refusal> {
        let standing = to.meta().standing(&self.presented, self.now);
        if standing == Standing::Superseded {
            return Err(Refusal::Superseded);
        }
        let record = (self.migrate)(to).map_err(|error| Refusal::Open(Arc::new(error)))?;
        let mut draft = record.draft();
        self.changes.apply(self.schema, &mut draft)?;
        self.rotate(&mut draft.meta, standing);
        self.finish(&mut draft)
    }

    fn may_destroy(&self, record: &Record) -> bool {
        record.meta().standing(&self.presented, self.now) != Standing::Superseded
    }

    fn has_landed(&self, record: &Record) -> Option<bool> {
        record.meta().has_landed(self.nonce, self.base_commits)
    }

    fn version_of(record: &Record) -> Version {
        Version(record.meta().commits)
    }
}
