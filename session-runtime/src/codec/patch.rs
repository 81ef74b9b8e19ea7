//! What one request changed in a session, apart from the record that it was changed in, so that it can be made again
//! on top of what others wrote.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::merge::{MergeError, Three};
use super::meta::{Meta, Millis, Nonce, SecretHash, Standing};
use super::record::Record;
use super::slot::drop_aside;
use super::{FieldError, OpenError};
use crate::cascade::protocol::Change;
use crate::session::{FieldSpec, Schema, Session};
use crate::tier::Version;

/// One field, changed.
#[derive(Clone, Debug)]
struct FieldChange {
    spec: &'static FieldSpec,
    /// Where the record probably has it.
    rank: usize,
    /// What it was; `None` where the record had no such field.
    base: Option<Bytes>,
    /// Where in [`Changes::values`] its new value is.
    ours: Range<usize>,
}

/// The changed fields of one session.
#[derive(Clone, Default)]
pub struct Changes {
    list: Vec<FieldChange>,
    /// The new values, one behind the other.
    values: Bytes,
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
    /// Brings a record that another version of the program wrote up to the present one.
    pub migrate: fn(&Record) -> Result<Record, OpenError>,
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
        let touched = || {
            let slots = T::SCHEMA.fields.iter().enumerate();
            slots.filter_map(|(index, spec)| Some((spec, T::slot(fields, index).filter(|slot| slot.is_touched())?)))
        };
        let sizes = touched().map(|(_, slot)| slot.base().map_or(0, Bytes::len) + GROWTH);
        let (count, size) = sizes.fold((0, 0), |(count, size), next| (count + 1, size + next));
        let mut list = Vec::with_capacity(count);
        let mut values = Vec::with_capacity(size);
        for (spec, slot) in touched() {
            let cannot_encode = |error| FieldError::new(T::SCHEMA.name, spec.name, "encode", error);
            let start = values.len();
            slot.append(&mut values).map_err(cannot_encode)?;
            let end = values.len();
            let base = slot.base();
            let same = if let Some(base) = base {
                base == &values[start..]
            } else {
                (spec.default)(&mut values).map_err(cannot_encode)?;
                let same = values[start..end] == values[end..];
                values.truncate(end);
                same
            };
            if same {
                values.truncate(start);
                continue;
            }
            list.push(FieldChange {
                spec,
                rank: slot.rank(),
                base: base.cloned(),
                ours: start..end,
            });
        }
        Ok(Self {
            list,
            values: values.into(),
        })
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
        let (mut list, mut values) = (self.list.clone(), self.values.to_vec());
        for change in later.list {
            let ours = &later.values[change.ours];
            let start = values.len();
            let earlier = list.iter_mut().find(|earlier| earlier.spec.name == change.spec.name);
            if let Some(earlier) = earlier {
                let theirs = Some(&values[earlier.ours.clone()]);
                match reconcile(schema, change.spec, change.base.as_deref(), theirs, ours)? {
                    Some(merged) => values.extend_from_slice(&merged),
                    None => values.extend_from_slice(ours),
                }
                earlier.ours = start..values.len();
            } else {
                values.extend_from_slice(ours);
                let ours = start..values.len();
                list.push(FieldChange { ours, ..change });
            }
        }
        list.retain(|FieldChange { spec, base, ours, .. }| {
            let ours = &values[ours.clone()];
            let mut default = Vec::new();
            match base {
                Some(base) => base != ours,
                None if (spec.default)(&mut default).is_err() => true,
                None => default != ours,
            }
        });
        (self.list, self.values) = (list, values.into());
        Ok(())
    }

    /// Makes the changes in `record`.
    pub fn apply(&self, schema: &'static Schema, record: &mut Record) -> Result<(), Refusal> {
        if self.is_empty() {
            return Ok(());
        }
        record.make_room(self.list.len());
        let values = record.add(self.values.clone());
        for FieldChange { spec, rank, base, ours } in &self.list {
            let at = record.position(spec.name, *rank);
            let theirs = at.ok().and_then(|at| record.value(at));
            match reconcile(schema, spec, base.as_deref(), theirs, &self.values[ours.clone()])? {
                Some(merged) => record.set_field(spec.name, merged),
                None => record.set_part(at, spec.name.into(), values, ours.clone()),
            }
            if spec.or_default {
                drop_aside(record, spec.name);
            }
        }
        Ok(())
    }
}

/// The names of the fields. Never their values, which may be secrets.
impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.list.iter().map(|change| change.spec.name))
            .finish()
    }
}

/// The value of a field that went from `base` to `ours` here and from `base` to `theirs` elsewhere; `None` where it is
/// `ours`.
fn reconcile(
    schema: &'static Schema,
    spec: &'static FieldSpec,
    base: Option<&[u8]>,
    theirs: Option<&[u8]>,
    ours: &[u8],
) -> Result<Option<Bytes>, Refusal> {
    // Only where they changed nothing. Where they came to the very value that we did, it is still for the strategy to
    // say what the two come to: of two that added one, both count.
    if base == theirs {
        return Ok(None);
    }
    let mut default = Vec::new();
    if base.is_none() || theirs.is_none() {
        (spec.default)(&mut default).map_err(|error| {
            let error = FieldError::new(schema.name, spec.name, "encode", error);
            Refusal::Field(Arc::new(error), false)
        })?;
    }
    let (base, theirs) = (base.unwrap_or(&default), theirs.unwrap_or(&default));
    if base == theirs {
        return Ok(None);
    }
    let merged = (spec.merge)(&Three { base, theirs, ours });
    merged.map(Some).map_err(|error: MergeError| {
        let rejected = error.is_rejected();
        Refusal::Field(
            Arc::new(FieldError::new(schema.name, spec.name, "merge", error)),
            rejected,
        )
    })
}

/// The record as the present program writes it.
pub fn migrate<T: Session>(record: &Record) -> Result<Record, OpenError> {
    let schema = T::SCHEMA;
    let mut migrated = record.clone();
    let same = (record.version, record.fingerprint) == (schema.version, schema.fingerprint);
    if same && !schema.fields.iter().any(|spec| spec.or_default) {
        return Ok(migrated);
    }
    let fields = T::open(record)?;
    for (index, spec) in schema.fields.iter().enumerate() {
        let Some(slot) = T::slot(&fields, index) else { continue };
        match slot.base() {
            _ if slot.is_stored() => {}
            Some(base) => migrated.set_field(spec.name, base.clone()),
            // It did not decode, and goes aside.
            None => {
                migrated.remove_field(spec.name);
            }
        }
        match slot.aside() {
            Some((name, Some(bytes))) => migrated.set_field(name.to_owned(), bytes.clone()),
            Some((name, None)) => {
                migrated.remove_field(name);
            }
            None => {}
        }
    }
    if record.version < schema.version {
        for name in schema.gone() {
            migrated.remove_field(name);
        }
    }
    for name in schema.removed {
        migrated.remove_field(name);
    }
    (migrated.version, migrated.fingerprint) = (schema.version, schema.fingerprint);
    Ok(migrated)
}

impl Patch {
    /// Whether all that it does is to note that the session was used.
    pub fn only_renews(&self) -> bool {
        self.changes.is_empty() && self.rotation.is_none()
    }

    /// A record that has never been stored, with the patch made.
    pub fn create(&self, meta: Meta) -> Result<Record, Refusal> {
        let mut record = Record::new(self.schema.name, self.schema.version, self.schema.fingerprint, meta);
        self.changes.apply(self.schema, &mut record)?;
        self.finish(record)
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

    fn finish(&self, mut record: Record) -> Result<Record, Refusal> {
        record.meta.push(self.nonce);
        record.meta.renewed = record.meta.renewed.max(self.now);
        let size = record.encoded_len();
        if size > self.max_len {
            return Err(Refusal::TooLarge {
                size,
                limit: self.max_len,
            });
        }
        Ok(record)
    }
}

impl Change<Record> for Patch {
    type Error = Refusal;

    fn apply(&self, to: &Record) -> Result<Record, Refusal> {
        let standing = to.meta.standing(&self.presented, self.now);
        if standing == Standing::Superseded {
            return Err(Refusal::Superseded);
        }
        let mut record = (self.migrate)(to).map_err(|error| Refusal::Open(Arc::new(error)))?;
        self.changes.apply(self.schema, &mut record)?;
        self.rotate(&mut record.meta, standing);
        self.finish(record)
    }

    fn may_destroy(&self, record: &Record) -> bool {
        record.meta.standing(&self.presented, self.now) != Standing::Superseded
    }

    fn has_landed(&self, record: &Record) -> Option<bool> {
        record.meta.has_landed(self.nonce, self.base_commits)
    }

    fn version_of(record: &Record) -> Version {
        Version(record.meta.commits)
    }
}
