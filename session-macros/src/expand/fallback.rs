//! Stubs in place of the impls when there are errors, so that each mistake is one message and an editor still knows the
//! accessors.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Generics, parse_quote};

use super::{accessors, detached, docs};
use crate::ast::Session;

/// The errors, and impls without bounds or bodies. They repeat the struct's generic parameters, which are an error by
/// themselves, so that uses of a generic session cause no further ones.
pub(crate) fn stubs(session: &Session<'_>, errors: &[syn::Error]) -> TokenStream {
    let errors = errors.iter().map(syn::Error::to_compile_error);
    let companions = companions(session);
    let (accessors, detached) = (accessors::stub(session), detached::stub(session));
    let inherent = inherent(session);
    let session_impls = session_impls(session);
    quote! {
        #(#errors)*

        #companions

        #[allow(unused, deprecated, clippy::all, clippy::pedantic)]
        const _: () = {
            #accessors
            #detached
            #inherent
            #session_impls
        };
    }
}

/// They hold nothing, so that no field's type has to implement anything.
fn companions(session: &Session<'_>) -> TokenStream {
    let (ident, vis, companion) = (&session.input.ident, &session.input.vis, &session.companion);
    let (detached, generics) = (&session.detached, &session.input.generics);
    let (doc, detached_doc) = (docs::companion(session), docs::detached(session));
    let (_, ty_generics, where_clause) = generics.split_for_impl();
    quote! {
        #[doc = #doc]
        #[allow(deprecated)]
        #vis struct #companion #generics (::core::marker::PhantomData<fn() -> #ident #ty_generics>) #where_clause;

        #[doc = #detached_doc]
        #[allow(deprecated)]
        #vis struct #detached #generics (::core::marker::PhantomData<fn() -> #ident #ty_generics>) #where_clause;
    }
}

/// `Shop::TIERS`, and `Debug` for the companion.
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

/// `impl Session for Shop`, and `ServedBy` for every store.
fn session_impls(session: &Session<'_>) -> TokenStream {
    let (krate, ident) = (session.krate(), &session.input.ident);
    let (companion, detached) = (&session.companion, &session.detached);
    let mut generics = session.input.generics.clone();
    // A trivial bound that does not hold is an error by itself. With `for<'__a>` it is not trivial, and is only checked
    // where the impl is used.
    let bound =
        parse_quote!(for<'__a> Self: ::core::marker::Sized + ::core::marker::Send + ::core::marker::Sync + 'static);
    generics.make_where_clause().predicates.push(bound);
    let mut served: Generics = generics.clone();
    served.params.push(parse_quote!(__S));
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let (served_generics, ..) = served.split_for_impl();
    let owned = session.owner().map(|_| {
        quote! {
            impl #impl_generics #krate::__private::OwnedSession for #ident #ty_generics #where_clause {
                type OwnerId = ::std::string::String;
            }
        }
    });
    let (fields, detached) = (quote!(#companion #ty_generics), quote!(#detached #ty_generics));
    quote! {
        impl #impl_generics #krate::__private::Session for #ident #ty_generics #where_clause {
            const TIERS: #krate::__private::Tiers = #krate::__private::Tiers::empty();
            const SCHEMA: &'static #krate::__private::Schema = &#krate::__private::Schema::STUB;
            type Fields = #fields;
            type Detached = #detached;
            fn with_defaults() -> #fields { ::core::unreachable!() }
            fn decode_fields(
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
            fn into_detached(_: #fields) -> #detached { ::core::unreachable!() }
            fn detached_fields<'__a>(_: &'__a mut #detached) -> &'__a mut #fields {
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

        #owned
    }
}
