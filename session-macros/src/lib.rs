//! The derive of `session-runtime`. Depend on that crate; it re-exports this one.
//!
//! Parse (`ast`, by way of `attr`), check (`check`), then expand (`expand`): either everything, or every mistake
//! at once and stubs in the place of what could not be written.

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod ast;
mod attr;
mod check;
mod ctxt;
mod derive;
mod expand;
mod fingerprint;

#[doc = include_str!("derive.md")]
#[proc_macro_derive(Session, attributes(session, cascade))]
pub fn derive_session(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive::derive(&input).into()
}
