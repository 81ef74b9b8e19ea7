//! The generated code: one file for each impl.

mod accessors;
mod codec;
mod detached;
mod docs;
pub(crate) mod fallback;
mod forwarded_attrs;
mod meta;

use proc_macro2::TokenStream;
use quote::quote;

use crate::ast::Session;

/// The companion structs and all impls.
pub(crate) fn session(session: &Session<'_>) -> TokenStream {
    let companion = accessors::companion(session);
    let accessors = accessors::accessors(session);
    let debug = accessors::debug(session);
    let (detached, detached_impls) = (detached::companion(session), detached::impls(session));
    let meta = meta::meta(session);
    let codec = codec::codec(session);
    let allowed = forwarded_attrs::allowed_lints(session);
    quote! {
        #companion

        #detached

        #allowed
        const _: () = {
            #accessors
            #debug
            #detached_impls
            #meta
            #codec
        };
    }
}
