//! The rules that no single key can break: one function a rule.

use std::collections::HashMap;

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{Ident, Type};

use crate::ast::{Field, Kind, Session, flash_item};
use crate::attr::report_duplicate;
use crate::ctxt::Ctxt;

pub(crate) fn check(ctxt: &Ctxt, session: &Session<'_>) {
    check_generics(ctxt, session);
    check_name(ctxt, session);
    check_version(ctxt, session);
    check_previous(ctxt, session);
    check_fingerprint(ctxt, session);
    check_reserved(ctxt, session);
    check_accessors(ctxt, session);
    check_stored_names(ctxt, session);
    check_earlier_names(ctxt, session);
    for field in &session.fields {
        check_type(ctxt, field);
        check_flash(ctxt, field);
        check_upgrades(ctxt, session, field);
    }
}

/// The schema is a static, and a record does not say which types it was written with.
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

/// Bytes of a name. A browser may drop a cookie of more than 4096 bytes, with its value and attributes (RFC 6265,
/// section 6.1), and every request carries it.
const LONGEST_NAME: usize = 256;

/// What `CookieOptions` put before the name.
const PREFIXES: &[&str] = &["__host-", "__secure-"];

/// RFC 6265, section 4.1.1: the name of a cookie is a token as in RFC 2616, section 2.2.
fn check_name(ctxt: &Ctxt, session: &Session<'_>) {
    let name = &session.name;
    let is_token = |char: char| char.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(char);
    let message = if name.is_empty() || !name.chars().all(is_token) {
        format!(
            "the name of a cookie is an RFC 6265 token, \"{}\" is none: letters, digits and any of !#$%&'*+-.^_`|~",
            name.escape_debug()
        )
    } else if name.len() > LONGEST_NAME {
        format!(
            "this name of a cookie has {} bytes; browsers and proxies may drop it, {LONGEST_NAME} are enough",
            name.len()
        )
    } else if let Some(prefix) = PREFIXES
        .iter()
        .find(|prefix| name.to_ascii_lowercase().starts_with(*prefix))
    {
        let prefix = &name[..prefix.len()];
        format!("leave out `{prefix}`: the store puts it before the name of the cookie, as its `CookieOptions` say")
    } else {
        return;
    };
    match &session.name_lit {
        Some(name) => ctxt.error_at(name, message),
        None => ctxt.error_at(
            &session.input.ident,
            format!("{message}; give it one with `#[session(name = \"...\")]`"),
        ),
    }
}

/// 0 is what a program that has never heard of versions would write.
fn check_version(ctxt: &Ctxt, session: &Session<'_>) {
    if session.version == 0 {
        ctxt.error_at(&session.version_lit, "versions count from 1");
    }
}

/// The first version has none before it. That the one named is the one just before is for the expansion to see.
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

/// Two binaries that write the same version must write the same thing.
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

/// Methods of `TypedSession` and `Detached`, of the traits that they implement, and of every type, which would be found
/// before an accessor.
const RESERVED: &[&str] = &[
    "is_new",
    "rotate",
    "destroy",
    "expires_at",
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

/// A `TypedSession` dereferences to the accessors, so that its own methods come first.
fn check_reserved(ctxt: &Ctxt, session: &Session<'_>) {
    for field in &session.fields {
        let accessors = field.accessors().map(|accessor| accessor.unraw().to_string());
        let Some(hidden) = accessors.iter().find(|accessor| RESERVED.contains(&&***accessor)) else {
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

/// The fields `a` and `a_mut` both want a method `a_mut`. Two fields collide once, however many of their methods do.
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

/// A name in records means one field, now and in every version before.
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
                    "the name \"{}\" is here again, and a name in records means one field",
                    name.value()
                ),
            );
        }
    }
}

/// What stood before a field in a struct is a name that a field can have; the rest belongs to the codec.
fn check_earlier_names(ctxt: &Ctxt, session: &Session<'_>) {
    let earlier = session.fields.iter().flat_map(|field| &field.was);
    for name in earlier.chain(&session.removed) {
        let value = name.value();
        if let Some(plain) = value.strip_prefix("r#") {
            ctxt.error_at(
                name,
                format!("records know this field as \"{plain}\", without the `r#`"),
            );
        } else if Ident::parse_any.parse_str(&value).is_err() {
            ctxt.error_at(
                name,
                format!("\"{}\" is no name that a field can have had", value.escape_debug()),
            );
        }
    }
}

/// What a record gives is owned by the session, and stands in a struct. That a type has serde and a default is for the
/// expansion to see; of these, rustc would speak at length, or not say what to do.
fn check_type(ctxt: &Ctxt, field: &Field<'_>) {
    if field.is_unsized() {
        let message = "a session's field has a size: write `String` in place of `str`, `Vec<...>` in place of a slice, \
                       `Box<dyn ...>` in place of a `dyn`";
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

/// Finds the first reference in a type that serde reads as one into the bytes. Another might have serde of its own.
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

    /// What a function takes is not held.
    fn visit_type_fn_ptr(&mut self, _: &'a syn::TypeFnPtr) {}

    fn visit_type_trait_object(&mut self, _: &'a syn::TypeTraitObject) {}
}

/// A flash field is a list that starts empty and is reconciled by what each request added and took.
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

/// A step leads from one version to a later one, and there is one from each.
fn check_upgrades(ctxt: &Ctxt, session: &Session<'_>, field: &Field<'_>) {
    if let (Some((key, _)), Some(upgrade)) = (&session.previous, field.upgrades.first()) {
        ctxt.error_at(
            &upgrade.version_lit,
            "a record of an earlier version is read through `previous`, never field by field: put the step into \
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
