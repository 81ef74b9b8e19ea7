//! The user's attributes that hold for the generated code as well.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Meta};

use crate::ast::{Field, Session};

/// A field's attributes that its accessors repeat: doc comments and `#[deprecated]`.
pub(super) fn for_field<'a>(field: &'a Field<'_>) -> impl Iterator<Item = &'a Attribute> {
    let is_forwarded = |attr: &&Attribute| attr.path().is_ident("doc") || is_deprecated(attr);
    field.syn.attrs.iter().filter(is_forwarded)
}

/// Whether the field has a comment, or a `#[doc = ...]`, which is the same.
pub(super) fn has_comment(field: &Field<'_>) -> bool {
    let is_comment = |attr: &Attribute| attr.path().is_ident("doc") && matches!(attr.meta, Meta::NameValue(_));
    field.syn.attrs.iter().any(is_comment)
}

/// The lints that the struct and its fields allow. The generated code repeats their names and types, and would trip the
/// same lints. An `expect` becomes an `allow`: the struct itself fulfils it.
pub(super) fn allowed_lints(session: &Session<'_>) -> TokenStream {
    let attrs = || {
        let fields = session.fields.iter().flat_map(|field| &field.syn.attrs);
        session.input.attrs.iter().chain(fields)
    };
    let lints = attrs().filter_map(|attr| match &attr.meta {
        Meta::List(list) if list.path.is_ident("allow") || list.path.is_ident("expect") => Some(&list.tokens),
        _ => None,
    });
    let deprecated = attrs().any(is_deprecated).then(|| quote!(#[allow(deprecated)]));
    quote!(#(#[allow(#lints)])* #deprecated)
}

fn is_deprecated(attr: &Attribute) -> bool {
    attr.path().is_ident("deprecated")
}
