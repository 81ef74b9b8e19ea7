//! The rules that no single argument can break: one function a rule.

mod cookie;

use std::collections::HashMap;

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Ident, Type};

use crate::ast::{Field, Kind, Session, Tier, flash_item};
use crate::attr::report_duplicate;
use crate::ctxt::Ctxt;

pub(crate) fn check(ctxt: &Ctxt, session: &Session<'_>) {
    check_generics(ctxt, session);
    cookie::check_name(ctxt, session);
    cookie::check_cookie(ctxt, session);
    check_lifetimes(ctxt, session);
    check_version(ctxt, session);
    check_previous(ctxt, session);
    check_fingerprint(ctxt, session);
    check_reserved(ctxt, session);
    check_accessors(ctxt, session);
    check_stored_names(ctxt, session);
    check_earlier_names(ctxt, session);
    check_owner(ctxt, session);
    for field in &session.fields {
        check_type(ctxt, field);
        check_flash(ctxt, field);
        check_upgrades(ctxt, session, field);
    }
}

/// The schema is a static, and a record does not say which type arguments it was written with.
fn check_generics(ctxt: &Ctxt, session: &Session<'_>) {
    let generics = &session.input.generics;
    if !generics.params.is_empty() {
        ctxt.error_at(
            generics,
            "a session cannot be generic: what is stored has one schema; name the types in the fields",
        );
    } else if let Some(clause) = &generics.where_clause {
        ctxt.error_at(clause, "a session has no `where` clause, since it cannot be generic");
    }
}

/// An idle time that is longer would never end a session.
fn check_lifetimes(ctxt: &Ctxt, session: &Session<'_>) {
    if let (Some(idle), Some(max_age)) = (&session.idle, &session.max_age)
        && idle.seconds > max_age.seconds
    {
        ctxt.error_at(
            &idle.lit,
            format!(
                "`idle` is longer than `max_age`, \"{}\", which ends the session first: write a shorter time here, or \
                 leave out `idle`",
                max_age.lit.value()
            ),
        );
    }
}

/// 0 would be the version of a record without one.
fn check_version(ctxt: &Ctxt, session: &Session<'_>) {
    if session.version == 0 {
        ctxt.error_at(&session.version_lit, "versions count from 1");
    }
}

/// The first version has none before it. That `previous` is the version just before is asserted in the generated code.
fn check_previous(ctxt: &Ctxt, session: &Session<'_>) {
    let Some((key, path)) = &session.previous else { return };
    if session.version <= 1 {
        let message = "there is no version before 1; raise this struct's to `version = 2`, or leave out `previous`";
        ctxt.error_at(key, message);
    }
    if path.is_ident(&session.input.ident) {
        let message = format!(
            "this is the struct itself; keep what it was in version {} in a struct of its own, and name that one",
            session.version.saturating_sub(1)
        );
        ctxt.error_at(path, message);
    }
}

/// Two binaries with the same version must write the same fields.
fn check_fingerprint(ctxt: &Ctxt, session: &Session<'_>) {
    let Some(expected) = &session.expected_fingerprint else {
        return;
    };
    if expected.value != session.fingerprint {
        ctxt.error_at(
            &expected.lit,
            format!(
                "the fields are not those of version {}: raise `version` if records of it are stored, and write \
                 `fingerprint = {:#018x}`",
                session.version, session.fingerprint
            ),
        );
    }
}

/// Methods of `TypedSession` and `Detached`, of the traits that they implement, and of every type. Rust finds them
/// before an accessor.
const RESERVED: &[&str] = &[
    "is_new",
    "rotate",
    "rotate_now",
    "touch",
    "set_persistence",
    "discard",
    "refresh",
    "destroy",
    "expires_at",
    "load_report",
    "commit",
    "into_detached",
    "reload",
    "snapshot",
    "deref",
    "deref_mut",
    "drop",
    "fmt",
    "into",
    "try_into",
    "borrow",
    "borrow_mut",
    "type_id",
];

/// The same, of a session that has an owner.
const RESERVED_WITH_OWNER: &[&str] = &["device_id", "set_device_label", "sign_in_within"];

/// A `TypedSession` dereferences to the accessors, so its own methods come first.
fn check_reserved(ctxt: &Ctxt, session: &Session<'_>) {
    let has_owner = session.owner().is_some();
    let is_reserved = |accessor: &&String| {
        RESERVED.contains(&&***accessor) || (has_owner && RESERVED_WITH_OWNER.contains(&&***accessor))
    };
    for field in &session.fields {
        let accessors = field.accessors().map(|accessor| accessor.unraw().to_string());
        let Some(hidden) = accessors.iter().find(is_reserved) else {
            continue;
        };
        ctxt.error(
            accessor_span(field),
            format!(
                "the accessor `{hidden}` would be hidden by the method of the same name; give the accessors of this \
                 field another name with `#[session(accessor = \"...\")]`"
            ),
        );
    }
}

/// What is known of an owner is found by the encoding of one field, which must stay what it is, outside of the request.
fn check_owner(ctxt: &Ctxt, session: &Session<'_>) {
    let mut owners = session
        .fields
        .iter()
        .filter_map(|field| Some((field, field.owner.as_ref()?)));
    let Some((field, key)) = owners.next() else { return };
    for (other, other_key) in owners {
        ctxt.error_at(
            other_key,
            format!(
                "a session has one owner, and `{}` names it already; keep `owner` on one of the two fields, and make the \
                 other one `privileged`",
                field.ident
            ),
        );
        ctxt.error_at(key, format!("`{}` is an owner too", other.ident));
    }
    if !session.tiers.is_empty() && session.tiers.iter().all(|tier| matches!(tier, Tier::Request)) {
        ctxt.error_at(
            key,
            "a session that lives in `request` alone ends with its request, and so has no owner whose sessions could be \
             ended: add a tier that outlives it, as in `#[cascade(memcache, datastore)]`, or make the field `privileged`",
        );
    }
    if let Kind::Flash = field.kind {
        ctxt.error_at(key, "a `flash` field is a list of messages, and cannot name an owner");
    }
    if let Some((default, _)) = &field.default {
        ctxt.error_at(
            default,
            "a new session belongs to nobody, so that its owner's field starts as `None` or as its type's own default; \
             take `default` off the field",
        );
    }
    if let Some((merge, _)) = &field.merge {
        ctxt.error_at(
            merge,
            "a session never gets a second owner, so that two writers of it are not reconciled; take `merge` off the field",
        );
    }
    if let Some(upgrade) = field.upgrades.first() {
        ctxt.error_at(
            &upgrade.version_lit,
            "the sessions of an owner are found by the encoding of this field, which an upgrade changes; add a new field \
             as `owner`, and give the session a new name, so that everybody signs in again",
        );
    }
}

/// The fields `a` and `a_mut` would both have a method `a_mut`. Each pair of fields is reported once.
fn check_accessors(ctxt: &Ctxt, session: &Session<'_>) {
    let mut taken: HashMap<String, &Field<'_>> = HashMap::new();
    let mut collisions: Vec<(&Ident, &Ident)> = Vec::new();
    for field in &session.fields {
        for accessor in field.accessors().map(|accessor| accessor.unraw().to_string()) {
            let first = *taken.entry(accessor.clone()).or_insert(field);
            if first.ident == field.ident || collisions.contains(&(first.ident, field.ident)) {
                continue;
            }
            collisions.push((first.ident, field.ident));
            let collides = |with: &Field<'_>| {
                format!(
                    "the field `{}` has an accessor `{accessor}` too; give the accessors of one of the two another \
                     name with `#[session(accessor = \"...\")]`",
                    with.ident
                )
            };
            ctxt.error(accessor_span(first), collides(field));
            ctxt.error(accessor_span(field), collides(first));
        }
    }
}

fn accessor_span(field: &Field<'_>) -> Span {
    field
        .accessor_key
        .as_ref()
        .map_or_else(|| field.ident.span(), Spanned::span)
}

/// A name in records means one field, in this version and in every one before.
fn check_stored_names(ctxt: &Ctxt, session: &Session<'_>) {
    let mut named: HashMap<String, Span> = session
        .fields
        .iter()
        .map(|field| (field.name(), field.ident.span()))
        .collect();
    let earlier = session.fields.iter().flat_map(|field| &field.was);
    for name in earlier.chain(&session.removed) {
        if let Some(first) = named.insert(name.value(), name.span()) {
            ctxt.error(first, format!("the name \"{}\" is here first", name.value()));
            ctxt.error_at(
                name,
                format!(
                    "the name \"{}\" is here again; in records, a name means one field",
                    name.value()
                ),
            );
        }
    }
}

/// An earlier name was the name of a field; names that no field can have are reserved for the codec.
fn check_earlier_names(ctxt: &Ctxt, session: &Session<'_>) {
    let earlier = session.fields.iter().flat_map(|field| &field.was);
    for name in earlier.chain(&session.removed) {
        let value = name.value();
        if let Some(plain) = value.strip_prefix("r#") {
            ctxt.error_at(
                name,
                format!("write \"{plain}\": records store the name without the `r#`"),
            );
        } else if Ident::parse_any.parse_str(&value).is_err() {
            ctxt.error_at(
                name,
                format!("\"{}\" cannot be the name of a field", value.escape_debug()),
            );
        }
    }
}

/// A field owns its value and has a size. rustc reports a violation in several messages, or without a remedy. That a
/// type implements serde's traits and has a default is for the trait bounds in the generated code.
fn check_type(ctxt: &Ctxt, field: &Field<'_>) {
    if field.is_unsized() {
        let message = "a session's field needs a size known at compile time: write `String` in place of `str`, \
                       `Vec<...>` in place of a slice, `Box<dyn ...>` in place of a `dyn`";
        ctxt.error_at(&field.syn.ty, message);
        return;
    }
    let mut borrowed = FirstBorrow(None);
    borrowed.visit_type(&field.syn.ty);
    if let Some(reference) = borrowed.0 {
        let message = "a session's field owns its value: write `String` in place of `&str`, `Vec<...>` in place of \
                       `&[...]`, `PathBuf` in place of `&Path`";
        ctxt.error_at(reference, message);
    }
}

/// Finds the first reference that serde would borrow from the record's bytes. A reference to another type may implement
/// `Deserialize` by itself.
struct FirstBorrow<'a>(Option<&'a syn::TypeReference>);

impl<'a> Visit<'a> for FirstBorrow<'a> {
    fn visit_type_reference(&mut self, reference: &'a syn::TypeReference) {
        let is_borrowed = match &*reference.elem {
            Type::Path(path) => {
                path.path.is_ident("str") || path.path.segments.last().is_some_and(|last| last.ident == "Path")
            }
            Type::Slice(_) => true,
            _ => false,
        };
        if is_borrowed {
            self.0.get_or_insert(reference);
        }
    }

    /// A function pointer holds no argument.
    fn visit_type_fn_ptr(&mut self, _: &'a syn::TypeFnPtr) {}

    fn visit_type_trait_object(&mut self, _: &'a syn::TypeTraitObject) {}
}

/// A flash field is a list that starts empty; two writers are reconciled by what each added and took.
fn check_flash(ctxt: &Ctxt, field: &Field<'_>) {
    if !matches!(field.kind, Kind::Flash) {
        return;
    }
    if flash_item(&field.syn.ty).is_none() {
        ctxt.error_at(
            &field.syn.ty,
            "a `flash` field is a list: write `Vec<...>`, or take `flash` off the field",
        );
    }
    if let Some((key, _)) = &field.merge {
        ctxt.error_at(
            key,
            "`flash` says how two writers are reconciled; take `merge` off the field",
        );
    }
    if let Some((key, _)) = &field.default {
        ctxt.error_at(key, "a `flash` field starts empty; take `default` off the field");
    }
}

/// An upgrade starts at an earlier version, and each version has at most one.
fn check_upgrades(ctxt: &Ctxt, session: &Session<'_>, field: &Field<'_>) {
    if let (Some((key, _)), Some(upgrade)) = (&session.previous, field.upgrades.first()) {
        ctxt.error_at(
            &upgrade.version_lit,
            "a record of an earlier version is read through `previous`, never field by field: convert the value in \
             `From`, or leave out `previous`",
        );
        ctxt.error_at(key, "records of earlier versions are read through this");
        return;
    }
    for (at, upgrade) in field.upgrades.iter().enumerate() {
        if upgrade.version == 0 {
            ctxt.error_at(&upgrade.version_lit, "versions count from 1");
        } else if upgrade.version >= session.version {
            ctxt.error_at(
                &upgrade.version_lit,
                format!(
                    "`upgrade` names the version that wrote the old type, and this struct is version {} itself; raise \
                     it with `#[session(version = {})]`",
                    session.version,
                    upgrade.version.saturating_add(1)
                ),
            );
        }
        if let Some(before) = at.checked_sub(1).and_then(|at| field.upgrades.get(at))
            && before.version == upgrade.version
        {
            report_duplicate(
                ctxt,
                &format!("upgrade({}, ...)", upgrade.version),
                &before.version_lit,
                &upgrade.version_lit,
            );
        }
    }
}
