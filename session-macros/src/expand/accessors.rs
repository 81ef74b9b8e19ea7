//! The companion struct: a slot for each field, and the methods that reach into it.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Ident, Type, parse_quote};

use super::carried;
use crate::ast::{self, Field, Kind, Session};

/// `struct ShopFields`.
pub(crate) fn companion(session: &Session<'_>) -> TokenStream {
    let (krate, companion, vis) = (session.krate(), &session.companion, &session.input.vis);
    let (doc, allowed) = (companion_doc(session), carried::allowed(session));
    let slots = session.fields.iter().map(|field| {
        let (slot, ty) = (field.slot(), &field.syn.ty);
        let holder = match field.kind {
            Kind::Lazy => quote!(LazySlot),
            Kind::Eager | Kind::Flash => quote!(Slot),
        };
        quote!(#slot: #krate::__private::#holder<#ty>)
    });
    quote! {
        #[doc = #doc]
        #allowed
        #vis struct #companion {
            record: #krate::__private::Bytes,
            #(#slots,)*
        }
    }
}

pub(super) fn companion_doc(session: &Session<'_>) -> String {
    let ident = session.input.ident.unraw();
    format!("The fields of a [`{ident}`] session, each with its accessors.")
}

/// `impl ShopFields`.
pub(crate) fn accessors(session: &Session<'_>) -> TokenStream {
    let methods = session.fields.iter().flat_map(|field| methods(session, field, false));
    let methods = methods.map(|(_, method)| method);
    inherent(session, methods, Some(&snapshot(session, &snapshot_value(session))))
}

/// The same for a struct with mistakes, whose companion holds nothing: of two accessors with one name only the first.
pub(crate) fn stub(session: &Session<'_>) -> TokenStream {
    let mut taken = HashSet::from(["snapshot".to_owned()]);
    // What has no size can be lent, but neither set nor copied.
    let methods = session.fields.iter().flat_map(|field| {
        let count = if field.is_unsized() { 2 } else { 3 };
        methods(session, field, true).into_iter().take(count)
    });
    let methods = methods.filter(|(name, _)| taken.insert(name.unraw().to_string()));
    let methods = methods.map(|(_, method)| method);
    let snapshot =
        (!session.fields.iter().any(Field::is_unsized)).then(|| snapshot(session, &quote!(::core::unreachable!())));
    inherent(session, methods, snapshot.as_ref())
}

fn inherent(
    session: &Session<'_>,
    methods: impl Iterator<Item = TokenStream>,
    snapshot: Option<&TokenStream>,
) -> TokenStream {
    let companion = &session.companion;
    let (impl_generics, ty_generics, where_clause) = session.input.generics.split_for_impl();
    quote! {
        #[allow(dead_code)]
        impl #impl_generics #companion #ty_generics #where_clause {
            #(#methods)*
            #snapshot
        }
    }
}

/// What a field's accessors have in common.
struct Method<'a> {
    field: &'a Field<'a>,
    /// Whether the struct has mistakes, so that there is nothing to reach into.
    is_stub: bool,
}

impl Method<'_> {
    /// An accessor with the field's comment below `summary`.
    fn write(
        &self,
        name: Ident,
        summary: &str,
        attrs: &TokenStream,
        signature: &TokenStream,
        body: &TokenStream,
    ) -> (Ident, TokenStream) {
        let (vis, carried) = (&self.field.syn.vis, carried::of_field(self.field));
        let unreachable = quote!(::core::unreachable!());
        let body = if self.is_stub { &unreachable } else { body };
        let text = quote! {
            #[doc = #summary]
            #[doc = ""]
            #(#carried)*
            #attrs
            #[inline]
            #vis fn #name #signature { #body }
        };
        (name, text)
    }
}

/// The accessors of one field, each with its name.
fn methods(session: &Session<'_>, field: &Field<'_>, is_stub: bool) -> [(Ident, TokenStream); 3] {
    let krate = session.krate();
    let (slot, name) = (field.slot(), field.name());
    // Lent, a bare `dyn A + B` needs them; it has been reported.
    let ty: &Type = match &field.syn.ty {
        ty @ Type::TraitObject(_) => &parse_quote!((#ty)),
        ty => ty,
    };
    let method = Method { field, is_stub };
    let [get, second, third] = field.accessors();
    let none = quote!();
    match field.kind {
        Kind::Eager | Kind::Lazy => {
            let record = field.is_lazy().then(|| quote!(&self.record));
            let record_and = field.is_lazy().then(|| quote!(&self.record,));
            let (read, reads, change, changes) = if field.is_lazy() {
                let errors = quote! {
                    #[doc = ""]
                    #[doc = "# Errors"]
                    #[doc = "The stored bytes do not decode; they are left as they are."]
                };
                let result = quote!(::core::result::Result);
                let error = quote!(#krate::__private::FieldError);
                (
                    quote!(#result<&#ty, #error>),
                    errors.clone(),
                    quote!(#result<&mut #ty, #error>),
                    errors,
                )
            } else {
                (quote!(&#ty), quote!(#[must_use]), quote!(&mut #ty), none.clone())
            };
            [
                method.write(
                    get,
                    &format!("Reads `{name}`."),
                    &reads,
                    &quote!((&self) -> #read),
                    &quote!(self.#slot.get(#record)),
                ),
                method.write(
                    second,
                    &format!("Changes `{name}`; a value that is left as it was costs no write."),
                    &changes,
                    &quote!((&mut self) -> #change),
                    &quote!(self.#slot.get_mut(#record)),
                ),
                method.write(
                    third,
                    &format!("Replaces `{name}`."),
                    &none,
                    &quote!((&mut self, __value: #ty)),
                    &quote!(self.#slot.set(#record_and __value)),
                ),
            ]
        }
        Kind::Flash => {
            // Only in a struct with mistakes is a flash field no `Vec`.
            let item = ast::flash_item(ty).unwrap_or(ty);
            [
                method.write(
                    get,
                    &format!("Looks at `{name}`, and leaves them there."),
                    &quote!(#[must_use]),
                    &quote!((&self) -> &#ty),
                    &quote!(self.#slot.get()),
                ),
                method.write(
                    second,
                    &format!("Adds one to `{name}`, to be read once."),
                    &none,
                    &quote!((&mut self, __value: #item)),
                    &quote!(self.#slot.push(__value)),
                ),
                method.write(
                    third,
                    &format!("Takes all of `{name}`."),
                    &none,
                    &quote!((&mut self) -> #ty),
                    &quote!(self.#slot.take()),
                ),
            ]
        }
    }
}

/// The struct, with a copy of each field.
fn snapshot_value(session: &Session<'_>) -> TokenStream {
    let (krate, ident) = (session.krate(), &session.input.ident);
    let values = session.fields.iter().map(|field| {
        let (ident, slot, try_lazy) = (field.ident, field.slot(), field.is_lazy().then(|| quote!(?)));
        quote!(#ident: (&self.#slot.copier(&self.record) #try_lazy).copy())
    });
    let mut value = quote!(#ident { #(#values,)* });
    if has_lazy(session) {
        value = quote!(::core::result::Result::Ok(#value));
    }
    let scope = (!session.fields.is_empty()).then(|| quote!(use #krate::__private::copy_traits::*;));
    quote!(#scope #value)
}

fn has_lazy(session: &Session<'_>) -> bool {
    session.fields.iter().any(Field::is_lazy)
}

fn snapshot(session: &Session<'_>, value: &TokenStream) -> TokenStream {
    let (krate, ident, vis) = (session.krate(), &session.input.ident, &session.input.vis);
    let (_, ty_generics, _) = session.input.generics.split_for_impl();
    let (output, attrs) = if has_lazy(session) {
        let errors = quote! {
            #[doc = ""]
            #[doc = "# Errors"]
            #[doc = "A lazy field does not decode."]
        };
        (
            quote!(::core::result::Result<#ident #ty_generics, #krate::__private::FieldError>),
            errors,
        )
    } else {
        (quote!(#ident #ty_generics), quote!(#[must_use]))
    };
    quote! {
        #[doc = "A copy of all fields as they are now, for a template."]
        #attrs
        #vis fn snapshot(&self) -> #output { #value }
    }
}

/// `impl Debug for ShopFields`.
pub(crate) fn debug(session: &Session<'_>) -> TokenStream {
    let (krate, companion) = (session.krate(), &session.companion);
    let name = companion.to_string();
    let fields = session.fields.iter().map(|field| {
        let (name, slot) = (field.name(), field.slot());
        let value = match field.kind {
            _ if field.secret => quote!(&#krate::__private::Redacted("[secret]")),
            Kind::Lazy => quote!(&self.#slot),
            Kind::Eager | Kind::Flash => quote!((&#krate::__private::DebugProbe(self.#slot.get())).debug_value()),
        };
        quote!(__debug.field(#name, #value);)
    });
    let shows = |field: &Field<'_>| !field.secret && !field.is_lazy();
    let scope = session
        .fields
        .iter()
        .any(shows)
        .then(|| quote!(use #krate::__private::debug_traits::*;));
    quote! {
        #[automatically_derived]
        impl ::core::fmt::Debug for #companion {
            fn fmt(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                #scope
                let mut __debug = __f.debug_struct(#name);
                #(#fields)*
                __debug.finish()
            }
        }
    }
}
