//! What the derive writes: one file an impl.

mod accessors;
mod codec;
pub(crate) mod fallback;
mod meta;
#[cfg(test)]
mod snapshots;

use proc_macro2::TokenStream;
use quote::quote;

use crate::ast::Session;

/// The companion struct and all impls.
pub(crate) fn session(session: &Session<'_>) -> TokenStream {
    let companion = accessors::companion(session);
    let accessors = accessors::accessors(session);
    let debug = accessors::debug(session);
    let meta = meta::meta(session);
    let codec = codec::codec(session);
    let is_deprecated = |attr: &syn::Attribute| attr.path().is_ident("deprecated");
    let deprecated = session
        .fields
        .iter()
        .flat_map(|field| &field.syn.attrs)
        .any(is_deprecated);
    let deprecated = deprecated.then(|| quote!(#[allow(deprecated)]));
    quote! {
        #companion

        #deprecated
        const _: () = {
            #accessors
            #debug
            #meta
            #codec
        };
    }
}
