//! The whole derive, from the struct to the generated code.

#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod spans;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::ast::Session;
use crate::check::check;
use crate::ctxt::Ctxt;
use crate::expand;

/// Parse, model, check, expand.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let ctxt = Ctxt::new();
    let session = Session::from_input(&ctxt, input);
    check(&ctxt, &session);
    match ctxt.into_result() {
        Ok(()) => expand::session(&session),
        Err(errors) => expand::fallback::stubs(&session, &errors),
    }
}
