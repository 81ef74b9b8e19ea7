//! What stands in for the impls when there are mistakes, so that each mistake is one message and an editor still knows
//! the accessors.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse_quote;

use super::accessors;
use crate::ast::Session;

/// The mistakes, and impls that ask for nothing and do nothing.
pub(crate) fn stubs(session: &Session<'_>, errors: &[syn::Error]) -> TokenStream {
    let errors = errors.iter().map(syn::Error::to_compile_error);
    let (krate, ident, vis, companion) = (
        session.krate(),
        &session.input.ident,
        &session.input.vis,
        &session.companion,
    );
    let mut generics = session.input.generics.clone();
    let is_generic = !generics.params.is_empty();
    let where_clause = generics.make_where_clause();
    where_clause
        .predicates
        .push(parse_quote!(Self: ::core::marker::Send + ::core::marker::Sync + 'static));
    let mut served = generics.clone();
    served.params.push(parse_quote!(__S));
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    let (served_generics, ..) = served.split_for_impl();
    // The accessors of a generic struct would need its parameters.
    let (struct_, accessors, record) = if is_generic {
        (
            quote!(#vis struct #companion {}),
            quote!(),
            quote!(::core::unreachable!()),
        )
    } else {
        let record = quote!(&__fields.record);
        (accessors::companion(session), accessors::stub(session), record)
    };
    quote! {
        #(#errors)*

        #struct_

        #[allow(unused, deprecated, clippy::all, clippy::pedantic)]
        const _: () = {
            #accessors

            impl #impl_generics #krate::__private::Session for #ident #ty_generics #where_clause {
                const TIERS: #krate::__private::Tiers = #krate::__private::Tiers::empty();
                const SCHEMA: &'static #krate::__private::Schema = &#krate::__private::Schema::STUB;
                type Fields = #companion;
                fn fresh() -> #companion { ::core::unreachable!() }
                fn open(
                    _: &#krate::__private::Record,
                ) -> ::core::result::Result<#companion, #krate::__private::OpenError> {
                    ::core::unreachable!()
                }
                fn from_value(_: Self) -> ::core::result::Result<#companion, #krate::__private::FieldError> {
                    ::core::unreachable!()
                }
                fn into_value(_: #companion) -> ::core::result::Result<Self, #krate::__private::FieldError> {
                    ::core::unreachable!()
                }
                fn record(__fields: &#companion) -> &[u8] {
                    #record
                }
                fn slot(_: &#companion, _: usize) -> ::core::option::Option<&dyn #krate::__private::AnySlot> {
                    ::core::unreachable!()
                }
            }

            impl #served_generics #krate::__private::ServedBy<__S> for #ident #ty_generics #where_clause {}
        };
    }
}
