//! The derive of `session-runtime`. Depend on that crate; it re-exports this one.

use proc_macro::TokenStream;

/// Makes a struct a session.
#[proc_macro_derive(Session, attributes(session, cascade))]
pub fn derive_session(_: TokenStream) -> TokenStream {
    TokenStream::new()
}
