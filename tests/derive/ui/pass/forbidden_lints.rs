//! The generated code must not allow a lint, since one that is forbidden cannot be allowed again.
#![forbid(warnings, nonstandard_style, deprecated, unused_imports, unused_mut, missing_docs, unsafe_code)]

#[derive(session_runtime::Session)]
#[cascade(memcache)]
struct Shop {
    visits: u64,
    #[session(lazy)]
    note: Option<String>,
}

#[derive(session_runtime::Session)]
#[cascade(request)]
struct Empty {}

fn main() {
    let mut shop = <Shop as session_runtime::Session>::with_defaults();
    shop.set_visits(1);
    let _: EmptyFields = <Empty as session_runtime::Session>::with_defaults();
}
