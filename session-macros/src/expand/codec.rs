//! How a session is opened and written: a static for each field, and `impl Session for Shop`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::ast::{Field, Kind, Session};

pub(crate) fn codec(session: &Session<'_>) -> TokenStream {
    let (krate, ident, companion) = (session.krate(), &session.input.ident, &session.companion);
    let statics = session
        .fields
        .iter()
        .enumerate()
        .map(|(at, field)| field_static(session, at, field));
    let slots: Vec<_> = session.fields.iter().map(Field::slot).collect();
    let idents: Vec<_> = session.fields.iter().map(|field| field.ident).collect();
    let indices = 0..slots.len();
    let holders: Vec<_> = session
        .fields
        .iter()
        .map(|field| match field.kind {
            Kind::Lazy => quote!(#krate::__private::LazySlot),
            Kind::Eager | Kind::Flash => quote!(#krate::__private::Slot),
        })
        .collect();
    let opens = session.fields.iter().map(|field| match field.kind {
        Kind::Lazy => quote!(open_lazy),
        Kind::Eager | Kind::Flash => quote!(open),
    });
    let tries = session.fields.iter().map(|field| field.is_lazy().then(|| quote!(?)));
    let older = match &session.previous {
        Some(_) => quote!(return ::core::result::Result::Ok(
            <Self as #krate::__private::Session>::from_value(__previous.open(__record)?)?
        );),
        None => quote!(),
    };
    quote! {
        #(#statics)*

        #[automatically_derived]
        impl #krate::__private::Session for #ident {
            const TIERS: #krate::__private::Tiers = __schema.tiers;
            const SCHEMA: &'static #krate::__private::Schema = &__schema;
            type Fields = #companion;

            fn fresh() -> #companion {
                #companion { #(#slots: #holders::fresh(&#slots),)* }
            }

            fn open(
                __record: &#krate::__private::Record,
            ) -> ::core::result::Result<#companion, #krate::__private::OpenError> {
                if __schema.is_older(__record)? { #older }
                ::core::result::Result::Ok(#companion { #(#slots: #slots.#opens(__record)?,)* })
            }

            fn from_value(__value: Self) -> ::core::result::Result<#companion, #krate::__private::FieldError> {
                ::core::result::Result::Ok(#companion {
                    #(#slots: #holders::migrated(&#slots, __value.#idents)?,)*
                })
            }

            fn into_value(__fields: #companion) -> ::core::result::Result<Self, #krate::__private::FieldError> {
                ::core::result::Result::Ok(#ident {
                    #(#idents: __fields.#slots.into_value() #tries,)*
                })
            }

            fn slot(
                __fields: &#companion,
                __index: usize,
            ) -> ::core::option::Option<&dyn #krate::__private::AnySlot> {
                match __index {
                    #(#indices => ::core::option::Option::Some(&__fields.#slots),)*
                    _ => ::core::option::Option::None,
                }
            }
        }
    }
}

/// The one place where a field's type is asked for serde and a default.
fn field_static(session: &Session<'_>, at: usize, field: &Field<'_>) -> TokenStream {
    let krate = session.krate();
    let (slot, ty) = (field.slot(), &field.syn.ty);
    let default = match &field.default {
        Some((_, expr)) => quote!(#expr),
        None => quote_spanned!(ty.span()=> <#ty as #krate::__private::FieldDefault>::field_default()),
    };
    let upgrade = (!field.upgrades.is_empty()).then(|| upgrade(session, field));
    let or_default = field.or_default.then(|| quote!(.or_default()));
    let new = quote_spanned!(ty.span()=> #krate::__private::Field::<#ty>::new);
    quote! {
        static #slot: #krate::__private::Field<#ty> = #new(&__schema, #at, || #default) #upgrade #or_default;
    }
}

/// From each version that a step is named for, that step and all later ones.
fn upgrade(session: &Session<'_>, field: &Field<'_>) -> TokenStream {
    let krate = session.krate();
    let arms = field.upgrades.iter().enumerate().map(|(at, upgrade)| {
        let (version, first) = (upgrade.version, &upgrade.step);
        let first = quote_spanned!(first.span()=> #krate::__private::upgrade_first(__bytes, #first));
        let all = field.upgrades[at + 1..].iter().fold(first, |before, upgrade| {
            let step = &upgrade.step;
            quote_spanned!(step.span()=> #krate::__private::upgrade_then(#before, #step))
        });
        quote!(if __version <= #version { return ::core::option::Option::Some(#all); })
    });
    quote!(.upgrade(|__version, __bytes| { #(#arms)* ::core::option::Option::None }))
}
