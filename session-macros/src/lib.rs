//! The derive of `session-runtime`. Depend on that crate; it re-exports this one.
//!
//! The derive parses the attributes (`attr`), models the struct (`ast`), checks the model (`check`) and expands it
//! (`expand`): into the session, or into every error at once and stubs (`expand::fallback`).

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
// `serde` is among them so that only the derive reports one on a session, with what to write instead.
#[proc_macro_derive(Session, attributes(session, cascade, serde))]
pub fn derive_session(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive::derive(&input).into()
}
