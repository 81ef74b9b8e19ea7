//! What stands in for the impls when there are mistakes, so that each mistake is one message and an editor still knows
//! the accessors.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Generics, parse_quote};

use super::accessors;
use crate::ast::Session;

/// The mistakes, and impls that ask for nothing and do nothing. They take the struct's parameters along, which are a
/// mistake too: what is called on a generic session is there all the same.
pub(crate) fn stubs(session: &Session<'_>, errors: &[syn::Error]) -> TokenStream {
    let errors = errors.iter().map(syn::Error::to_compile_error);
    let companion = companion(session);
    let accessors = accessors::stub(session);
    let inherent = inherent(session);
    let session_impls = session_impls(session);
    quote! {
        #(#errors)*

        #companion

        #[allow(unused, deprecated, clippy::all, clippy::pedantic)]
        const _: () = {
            #accessors
            #inherent
            #session_impls
        };
    }
}

/// Holds nothing: no type of a field is asked for anything.
fn companion(session: &Session<'_>) -> TokenStream {
    let (ident, vis, companion) = (&session.input.ident, &session.input.vis, &session.companion);
    let (doc, generics) = (accessors::companion_doc(session), &session.input.generics);
    let (_, ty_generics, where_clause) = generics.split_for_impl();
    quote! {
        #[doc = #doc]
        #[allow(deprecated)]
        #vis struct #companion #generics (::core::marker::PhantomData<fn() -> #ident #ty_generics>) #where_clause;
    }
}

/// `Shop::TIERS`, and that the companion can be shown.
fn inherent(session: &Session<'_>) -> TokenStream {
    let (krate, ident, vis, companion) = (
        session.krate(),
        &session.input.ident,
        &session.input.vis,
        &session.companion,
    );
    let (impl_generics, ty_generics, where_clause) = session.input.generics.split_for_impl();
    quote! {
        impl #impl_generics #ident #ty_generics #where_clause {
            #vis const TIERS: #krate::__private::Tiers = #krate::__private::Tiers::empty();
        }

        impl #impl_generics ::core::fmt::Debug for #companion #ty_generics #where_clause {
            fn fmt(&self, _: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::unreachable!()
            }
        }
    }
}

/// `impl Session for Shop`, and for every store.
fn session_impls(session: &Session<'_>) -> TokenStream {
    let (krate, ident, companion) = (session.krate(), &session.input.ident, &session.companion);
    let mut generics = session.input.generics.clone();
    // A bound that does not hold is a mistake of its own, unless it is one for any lifetime: then it waits for its use.
    let needs =
        parse_quote!(for<'__a> Self: ::core::marker::Sized + ::core::marker::Send + ::core::marker::Sync + 'static);
    generics.make_where_clause().predicates.push(needs);
    let mut served: Generics = generics.clone();
    served.params.push(parse_quote!(__S));
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let (served_generics, ..) = served.split_for_impl();
    let fields = quote!(#companion #ty_generics);
    quote! {
        impl #impl_generics #krate::__private::Session for #ident #ty_generics #where_clause {
            const TIERS: #krate::__private::Tiers = #krate::__private::Tiers::empty();
            const SCHEMA: &'static #krate::__private::Schema = &#krate::__private::Schema::STUB;
            type Fields = #fields;
            fn with_defaults() -> #fields { ::core::unreachable!() }
            fn open(
                _: &#krate::__private::Record,
            ) -> ::core::result::Result<#fields, #krate::__private::OpenError> {
                ::core::unreachable!()
            }
            fn from_value(_: Self) -> ::core::result::Result<#fields, #krate::__private::FieldError> {
                ::core::unreachable!()
            }
            fn into_value(_: #fields) -> ::core::result::Result<Self, #krate::__private::FieldError> {
                ::core::unreachable!()
            }
            fn record<'__a>(_: &'__a #fields) -> &'__a [u8] {
                ::core::unreachable!()
            }
            fn slot<'__a>(
                _: &'__a #fields,
                _: usize,
            ) -> ::core::option::Option<&'__a dyn #krate::__private::AnySlot> {
                ::core::unreachable!()
            }
        }

        impl #served_generics #krate::__private::ServedBy<__S> for #ident #ty_generics #where_clause {}
    }
}
