//! Decoding and encoding: a static for each field, and `impl Session for Shop`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::meta;
use crate::ast::{Field, Kind, Session, Upgrade};

pub(crate) fn codec(session: &Session<'_>) -> TokenStream {
    let (krate, ident) = (session.krate(), &session.input.ident);
    let (companion, detached) = (&session.companion, &session.detached);
    let fields = session.stored_fields();
    let statics = (0..).zip(&fields).map(|(at, field)| field_static(session, at, field));
    let slots: Vec<_> = fields.iter().map(|field| field.slot()).collect();
    let static_idents: Vec<_> = fields.iter().map(|field| field.static_ident()).collect();
    let idents: Vec<_> = fields.iter().map(|field| field.ident).collect();
    let indices = 0..slots.len();
    let holders: Vec<_> = fields
        .iter()
        .map(|field| match field.kind {
            Kind::Lazy => quote!(#krate::__private::LazySlot),
            Kind::Eager | Kind::Flash => quote!(#krate::__private::Slot),
        })
        .collect();
    let opens = fields.iter().map(|field| match field.kind {
        Kind::Lazy => quote!(open_lazy),
        Kind::Eager | Kind::Flash => quote!(open),
    });
    let values = fields.iter().map(|field| {
        let slot = field.slot();
        match field.kind {
            Kind::Lazy => quote!(__fields.#slot.into_value(&__fields.record)?),
            Kind::Eager | Kind::Flash => quote!(__fields.#slot.into_value()),
        }
    });
    let opening = (!fields.is_empty())
        .then(|| quote!(let mut __opening = #krate::__private::FieldCursor::new(&__SCHEMA, __record);));
    let none = quote!(record: ::core::default::Default::default(),);
    let send_sync = meta::send_sync_bounds(session);
    let (older, migrate_to_previous) = previous(session).unzip();
    quote! {
        #(#statics)*

        #[automatically_derived]
        impl #krate::__private::Session for #ident
        where
            #send_sync
        {
            const TIERS: #krate::__private::Tiers = #ident::TIERS;
            const SCHEMA: &'static #krate::__private::Schema = &__SCHEMA;
            #migrate_to_previous
            type Fields = #companion;
            type Detached = #detached;

            fn with_defaults() -> #companion {
                #companion { #none #(#slots: #holders::with_default(&#static_idents),)* }
            }

            fn decode_fields(
                __record: &#krate::__private::Record,
            ) -> ::core::result::Result<#companion, #krate::__private::OpenError> {
                #older
                #opening
                ::core::result::Result::Ok(#companion {
                    record: ::core::clone::Clone::clone(__record.bytes()),
                    #(#slots: #static_idents.#opens(&mut __opening)?,)*
                })
            }

            fn from_value(__value: Self) -> ::core::result::Result<#companion, #krate::__private::FieldError> {
                ::core::result::Result::Ok(#companion {
                    #none
                    #(#slots: #holders::migrated(&#static_idents, __value.#idents)?,)*
                })
            }

            fn into_value(__fields: #companion) -> ::core::result::Result<Self, #krate::__private::FieldError> {
                ::core::result::Result::Ok(#ident {
                    #(#idents: #values,)*
                })
            }

            fn into_detached(__fields: #companion) -> #detached {
                #detached { __fields }
            }

            fn detached_fields(__detached: &mut #detached) -> &mut #companion {
                &mut __detached.__fields
            }

            fn record(__fields: &#companion) -> &[u8] {
                &__fields.record
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

/// How `decode_fields` reads a record of an earlier version, and how one is migrated, where `previous` names its struct.
fn previous(session: &Session<'_>) -> Option<(TokenStream, TokenStream)> {
    session.previous.as_ref()?;
    let krate = session.krate();
    let older = quote! {
        if __record.version() < __SCHEMA.version {
            return ::core::result::Result::Ok(
                <Self as #krate::__private::Session>::from_value(__PREVIOUS.open(__record)?)?
            );
        }
    };
    let migrate = quote! {
        const MIGRATE_TO_PREVIOUS: ::core::option::Option<#krate::__private::Migrate> =
            ::core::option::Option::Some(__PREVIOUS.migrate());
    };
    Some((older, migrate))
}

/// The only place that requires a field's type to implement serde's traits and to have a default, so that a missing one
/// is one error.
fn field_static(session: &Session<'_>, at: usize, field: &Field<'_>) -> TokenStream {
    let krate = session.krate();
    let (static_ident, ty) = (field.static_ident(), &field.syn.ty);
    let own = || quote_spanned!(ty.span()=> <#ty as #krate::__private::FieldDefault>::field_default());
    let default = field.default.as_ref().map_or_else(own, |(_, expr)| quote!(#expr));
    let upgrade = (!field.upgrades.is_empty()).then(|| upgrade(session, field));
    quote! {
        static #static_ident: #krate::__private::Field<#ty> =
            #krate::__private::field::<#ty>(&__SCHEMA, #at, || #default) #upgrade;
    }
}

/// For each version with an upgrade: that upgrade and all later ones.
fn upgrade(session: &Session<'_>, field: &Field<'_>) -> TokenStream {
    let chains = (0..field.upgrades.len()).map(|at| {
        let version = field.upgrades[at].version;
        let chain = chain(session, field, &field.upgrades[at..]);
        quote!(if __version <= #version { return ::core::option::Option::Some(#chain); })
    });
    quote!(.upgrade(|__version, __bytes| { #(#chains)* ::core::option::Option::None }))
}

/// `last(second(first(decode(bytes))))`; the last one returns the field's type.
fn chain(session: &Session<'_>, field: &Field<'_>, upgrades: &[Upgrade]) -> TokenStream {
    let mut chain = quote!();
    for (at, upgrade) in upgrades.iter().enumerate() {
        let (step, span) = (&upgrade.step, upgrade.step.span());
        // With the derive's hygiene: a step that a `macro_rules!` captured does not see the closure's parameter.
        let bytes = Ident::new("__bytes", Span::call_site());
        let (krate, ty) = (session.krate_spanned(span), &field.syn.ty);
        let output = if at + 1 == upgrades.len() {
            quote!(#ty)
        } else {
            quote!(_)
        };
        chain = if at == 0 {
            quote_spanned!(span=> #krate::__private::upgrade_first::<_, #output, _>(#bytes, #step))
        } else {
            quote_spanned!(span=> #krate::__private::upgrade_then::<_, #output, _>(#chain, #step))
        };
    }
    chain
}
