//! What one request changed in a session, apart from the record that it was changed in, so that it can be made again
//! on top of what others wrote.

use std::fmt;
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

/// One field, changed. `Debug` shows its name alone.
#[derive(Clone)]
pub struct FieldChange {
    spec: &'static FieldSpec,
    /// What it was; `None` where the record had no such field.
    base: Option<Bytes>,
    ours: Bytes,
}

impl fmt::Debug for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec.name)
    }
}

/// The changed fields of one session.
#[derive(Clone, Debug, Default)]
pub struct Changes(Vec<FieldChange>);

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
        let mut changes = Vec::new();
        for (index, spec) in T::SCHEMA.fields.iter().enumerate() {
            let Some(slot) = T::slot(fields, index).filter(|slot| slot.is_touched()) else {
                continue;
            };
            let ours = slot
                .encode()
                .map_err(|error| FieldError::new(T::SCHEMA.name, spec.name, "encode", error))?;
            let base = slot.base().cloned();
            let same = match &base {
                Some(base) => *base == ours,
                None => default(T::SCHEMA, spec)? == ours,
            };
            if !same {
                changes.push(FieldChange { spec, base, ours });
            }
        }
        Ok(Self(changes))
    }

    /// Whether nothing was changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name of a privileged field that was changed.
    pub fn privileged(&self) -> Option<&'static str> {
        self.0
            .iter()
            .find(|change| change.spec.privileged)
            .map(|change| change.spec.name)
    }

    /// Adds `later`, which were made within the same request on top of these, or beside them. What they undo is no
    /// change any more.
    pub fn fold(&mut self, schema: &'static Schema, later: Self) -> Result<(), Refusal> {
        for change in later.0 {
            let Some(earlier) = self.0.iter_mut().find(|earlier| earlier.spec.name == change.spec.name) else {
                self.0.push(change);
                continue;
            };
            earlier.ours = reconcile(
                schema,
                change.spec,
                change.base.as_ref(),
                Some(&earlier.ours),
                &change.ours,
            )?;
        }
        self.0.retain(|change| match &change.base {
            Some(base) => *base != change.ours,
            None => default(schema, change.spec).ok().as_ref() != Some(&change.ours),
        });
        Ok(())
    }

    /// Makes the changes in `record`.
    pub fn apply(&self, schema: &'static Schema, record: &mut Record) -> Result<(), Refusal> {
        for change in &self.0 {
            let theirs = record.field(change.spec.name);
            let value = reconcile(schema, change.spec, change.base.as_ref(), theirs, &change.ours)?;
            record.set_field(change.spec.name, value);
            if change.spec.or_default {
                drop_aside(record, change.spec.name);
            }
        }
        Ok(())
    }
}

/// The value of a field that went from `base` to `ours` here and from `base` to `theirs` elsewhere.
fn reconcile(
    schema: &'static Schema,
    spec: &'static FieldSpec,
    base: Option<&Bytes>,
    theirs: Option<&Bytes>,
    ours: &Bytes,
) -> Result<Bytes, Refusal> {
    // Only where they changed nothing. Where they came to the very value that we did, it is still for the strategy to
    // say what the two come to: of two that added one, both count.
    if base == theirs {
        return Ok(ours.clone());
    }
    let or_default = |value: Option<&Bytes>| value.cloned().map_or_else(|| default(schema, spec), Ok);
    let field = |error: FieldError| Refusal::Field(Arc::new(error), false);
    let base = or_default(base).map_err(field)?;
    let theirs = or_default(theirs).map_err(field)?;
    if base == theirs {
        return Ok(ours.clone());
    }
    (spec.merge)(&Three {
        base: &base,
        theirs: &theirs,
        ours,
    })
    .map_err(|error: MergeError| {
        let rejected = error.is_rejected();
        Refusal::Field(
            Arc::new(FieldError::new(schema.name, spec.name, "merge", error)),
            rejected,
        )
    })
}

fn default(schema: &'static Schema, spec: &'static FieldSpec) -> Result<Bytes, FieldError> {
    (spec.default)()
        .map(Bytes::from)
        .map_err(|error| FieldError::new(schema.name, spec.name, "encode", error))
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
            None => _ = migrated.remove_field(spec.name),
        }
        match slot.aside() {
            Some((name, Some(bytes))) => migrated.set_field(name, bytes.clone()),
            Some((name, None)) => _ = migrated.remove_field(name),
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
