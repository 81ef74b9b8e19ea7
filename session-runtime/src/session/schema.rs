//! What the derive knows of a struct: its name, its version, and how each field is stored and merged.

use std::time::Duration;

use super::merge::MergeFn;
use crate::cbor::EncodeError;
use crate::tier::Tiers;

/// What a session is called, and how its fields are stored.
#[derive(Debug)]
pub struct Schema {
    /// The name in records; also that of the cookie, after its prefix, where [`cookie`](Self::cookie) has none.
    pub name: &'static str,
    /// The version of the struct, from 1; it never decreases.
    pub version: u32,
    /// A hash of the fields' names, types and attributes, as they are in the source.
    pub fingerprint: u64,
    /// The tiers it lives in.
    pub tiers: Tiers,
    /// The fields, in their order in a record: shorter names first.
    pub fields: &'static [FieldSpec],
    /// The name of the field that says whose session it is.
    pub owner: Option<&'static str>,
    /// Names of removed fields: a record drops them when it is next written.
    pub removed: &'static [&'static str],
    /// The struct of the version before, where `previous` names it.
    pub previous: Option<&'static Schema>,
    /// How long it is kept without being used; at least a second; `None` for the store's.
    pub idle: Option<Duration>,
    /// How long it is kept at most, even if it is in use; never less than `idle`; `None` for the store's.
    pub max_age: Option<Duration>,
    /// Its cookie.
    pub cookie: CookieSpec,
}

impl Schema {
    /// For a struct with errors in its attributes, so that these are the only errors of the compiler.
    #[doc(hidden)]
    pub const STUB: Self = Self {
        name: "",
        version: 1,
        fingerprint: 0,
        tiers: Tiers::empty(),
        fields: &[],
        owner: None,
        removed: &[],
        previous: None,
        idle: None,
        max_age: None,
        cookie: CookieSpec::DEFAULT,
    };

    /// The field that says whose session it is.
    pub fn owner_field(&self) -> Option<&'static FieldSpec> {
        let owner = self.owner?;
        self.fields.iter().find(|field| field.name == owner)
    }

    /// The structs of the versions before, newest first.
    pub(super) fn earlier(&self) -> impl Iterator<Item = &'static Schema> + use<> {
        std::iter::successors(self.previous, |schema| schema.previous)
    }

    /// The names of fields that a record of an earlier version may have and this version does not: removed fields,
    /// earlier names, and fields that only earlier structs have.
    pub fn obsolete_names(&self) -> impl Iterator<Item = &'static str> + use<'_> {
        let own = |name: &&str| !self.fields.iter().any(|field| field.name == *name);
        self.earlier()
            .flat_map(|schema| schema.fields.iter().map(|field| field.name))
            .filter(own)
            .chain(self.fields.iter().flat_map(|field| field.was).copied())
            .chain(self.removed.iter().copied())
    }

    /// Whether the value under `name` in a record must not be shown to people: that of a `secret` field, also under an
    /// earlier name or quarantined, and that of a field that neither this struct nor an earlier one knows.
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

/// The attributes of a session's cookie (RFC 6265, section 4.1.2) that differ from the layer's; the derive has checked
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieSpec {
    /// The name after its prefix, a token; `None` for the session's.
    pub name: Option<&'static str>,
    /// `SameSite`
    pub same_site: Option<SameSite>,
    /// `Path`: begins with `/`.
    pub path: Option<&'static str>,
    /// `Domain`: a host name.
    pub domain: Option<&'static str>,
    /// `HttpOnly`
    pub http_only: Option<bool>,
    /// `Partitioned`
    pub partitioned: Option<bool>,
}

impl CookieSpec {
    /// As the layer says.
    pub const DEFAULT: Self = Self {
        name: None,
        same_site: None,
        path: None,
        domain: None,
        http_only: None,
        partitioned: None,
    };
}

/// Which requests from other sites carry the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// None of them.
    Strict,
    /// Those that navigate to a page.
    Lax,
    /// All of them.
    None,
}

/// How one field is stored and reconciled.
#[derive(Debug)]
pub struct FieldSpec {
    /// Its name in records.
    pub name: &'static str,
    /// Its earlier names, newest first.
    pub was: &'static [&'static str],
    /// Appends its encoded default.
    pub default: fn(&mut Vec<u8>) -> Result<(), EncodeError>,
    /// How two concurrent writers of it are reconciled.
    pub merge: MergeFn,
    /// Whether writing it rotates the session's secret.
    pub privileged: bool,
    /// Whether its value is hidden in `Debug` and in the JSON view.
    pub secret: bool,
    /// `on_invalid = default`: whether the field takes its default, and its bytes are quarantined, where these do not
    /// decode.
    pub default_on_invalid: bool,
}
