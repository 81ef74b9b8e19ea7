//! The companion of a detached session: the fields, of which privileged ones are read-only.

use proc_macro2::TokenStream;
use quote::quote;

use super::accessors::{self, Body};
use super::{docs, forwarded_attrs};
use crate::ast::Session;

/// `struct ShopDetached`.
pub(crate) fn companion(session: &Session<'_>) -> TokenStream {
    let (detached, companion, vis) = (&session.detached, &session.companion, &session.input.vis);
    let (doc, allowed) = (docs::detached(session), forwarded_attrs::allowed_lints(session));
    quote! {
        #[doc = #doc]
        #allowed
        #vis struct #detached {
            #[doc(hidden)]
            __fields: #companion,
        }
    }
}

/// `impl ShopDetached`, with the accessors that change a field, and what it derives from `ShopFields`.
pub(crate) fn impls(session: &Session<'_>) -> TokenStream {
    let (detached, companion) = (&session.detached, &session.companion);
    let methods = session.fields.iter().flat_map(|field| {
        let [_, change, replace] = accessors::methods(session, field, Body::Delegate);
        [change, replace].map(|(_, method)| method)
    });
    quote! {
        #[allow(dead_code)]
        impl #detached {
            #(#methods)*
        }

        #[automatically_derived]
        impl ::core::ops::Deref for #detached {
            type Target = #companion;

            #[inline]
            fn deref(&self) -> &#companion {
                &self.__fields
            }
        }

        #[automatically_derived]
        impl ::core::fmt::Debug for #detached {
            fn fmt(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Debug::fmt(&self.__fields, __f)
            }
        }
    }
}

/// `impl ShopDetached` of a struct with errors.
pub(crate) fn stub(session: &Session<'_>) -> TokenStream {
    let (detached, companion) = (&session.detached, &session.companion);
    let (impl_generics, ty_generics, where_clause) = session.input.generics.split_for_impl();
    let methods = accessors::stub_methods(session);
    quote! {
        #[allow(dead_code)]
        impl #impl_generics #detached #ty_generics #where_clause {
            #(#methods)*
        }

        impl #impl_generics ::core::ops::Deref for #detached #ty_generics #where_clause {
            type Target = #companion #ty_generics;

            fn deref(&self) -> &Self::Target {
                ::core::unreachable!()
            }
        }

        impl #impl_generics ::core::fmt::Debug for #detached #ty_generics #where_clause {
            fn fmt(&self, _: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::unreachable!()
            }
        }
    }
}
