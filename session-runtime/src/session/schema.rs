//! What the derive says of a struct: its name, its version, and how each field is stored.

use super::merge::MergeFn;
use crate::cbor::EncodeError;
use crate::tier::Tiers;

/// What a session is called, and how its fields are stored.
#[derive(Debug)]
pub struct Schema {
    /// The name in records and, behind its prefix, of the cookie.
    pub name: &'static str,
    /// The version of the struct, from 1; it never goes down.
    pub version: u32,
    /// A hash of the fields' names, types and attributes as written.
    pub fingerprint: u64,
    /// The tiers it lives in.
    pub tiers: Tiers,
    /// The fields, in the order in which a record has them: shorter names first.
    pub fields: &'static [FieldSpec],
    /// Names of fields that are gone: dropped from a record when it is next written.
    pub removed: &'static [&'static str],
    /// The struct of the version before, where `previous` names it.
    pub previous: Option<&'static Schema>,
}

impl Schema {
    /// Of a struct that does not compile.
    #[doc(hidden)]
    pub const STUB: Self = Self {
        name: "",
        version: 1,
        fingerprint: 0,
        tiers: Tiers::empty(),
        fields: &[],
        removed: &[],
        previous: None,
    };

    /// The names under which a record of an earlier version may hold what this one no longer looks for: removed
    /// fields, earlier names, and the fields that only earlier structs had.
    pub fn obsolete_names(&self) -> impl Iterator<Item = &'static str> + use<'_> {
        let own = |name: &&str| !self.fields.iter().any(|field| field.name == *name);
        let earlier = std::iter::successors(self.previous, |schema| schema.previous);
        earlier
            .flat_map(|schema| schema.fields.iter().map(|field| field.name))
            .filter(own)
            .chain(self.fields.iter().flat_map(|field| field.was).copied())
            .chain(self.removed.iter().copied())
    }

    /// Whether the value that a record holds under `name` is kept from people's eyes: that of a `secret` field, under
    /// any name that it has had and been quarantined, and what neither this struct nor one before it knows.
    pub fn is_secret(&self, name: &str) -> bool {
        let quarantined = name.strip_prefix('~').and_then(|rest| rest.split_once('~'));
        let name = quarantined.map_or(name, |(_, field)| field);
        let mut known = std::iter::successors(Some(self), |schema| schema.previous)
            .flat_map(|schema| schema.fields)
            .filter(|field| field.name == name || field.was.contains(&name))
            .peekable();
        known.peek().is_none() || known.any(|field| field.secret)
    }
}

/// How one field is stored and reconciled.
#[derive(Debug)]
pub struct FieldSpec {
    /// Its name in records.
    pub name: &'static str,
    /// Its earlier names, newest first.
    pub was: &'static [&'static str],
    /// Encodes its default behind what is there.
    pub default: fn(&mut Vec<u8>) -> Result<(), EncodeError>,
    /// How two concurrent writers of it are reconciled.
    pub merge: MergeFn,
    /// Whether writing it rotates the session's secret.
    pub privileged: bool,
    /// Whether its value is left out of `Debug` and of the JSON view.
    pub secret: bool,
    /// Whether bytes that do not decode are quarantined, and the default taken: `on_invalid = default`.
    pub default_on_invalid: bool,
}
