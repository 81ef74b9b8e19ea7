//! The generated code must not trip strict lints of the user's crate.
#![deny(warnings, missing_docs, unused, unreachable_pub, unused_qualifications, missing_debug_implementations)]
#![deny(rust_2018_idioms, single_use_lifetimes, unused_results, trivial_casts, let_underscore_drop)]
#![forbid(unsafe_code)]

mod inner {
    use session_runtime::Session;

    /// A shop.
    #[derive(Debug, Session)]
    #[session(version = 2, removed("old"))]
    #[cascade(request, memcache)]
    pub(crate) struct Shop {
        unused: u64,
        #[session(flash)]
        also_unused: Vec<String>,
        #[session(lazy)]
        large: Vec<u8>,
    }

    #[derive(Debug, Session)]
    #[cascade(request)]
    pub(crate) struct Empty {}
}

/// A shop whose accessors are public.
#[derive(Debug, session_runtime::Session)]
#[cascade(memcache, datastore)]
pub struct Public {
    /// Documented.
    pub lines: Vec<u8>,
    pub(crate) visits: u64,
    #[session(secret)]
    user: Option<u64>,
    #[deprecated]
    #[allow(missing_docs)]
    pub legacy: u8,
}

fn main() {
    assert_eq!(inner::Shop::TIERS.bits().count_ones(), 2);
    assert_eq!(inner::Empty::TIERS.bits().count_ones(), 1);
    let public = <Public as session_runtime::Session>::with_defaults();
    assert_eq!(*public.visits(), 0);
}
