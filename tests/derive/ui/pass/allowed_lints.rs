//! A lint that the struct or a field allows is allowed in the generated code.
#![deny(warnings)]
#![allow(dead_code)]

use session_runtime::Session;

mod old {
    #![allow(deprecated)]

    #[derive(Default, serde::Serialize, serde::Deserialize)]
    #[deprecated]
    pub struct Line;
}

#[derive(Session)]
#[cascade(memcache)]
#[allow(non_snake_case, non_camel_case_types)]
struct shop {
    UPPER: u8,
}

#[derive(Session)]
#[cascade(memcache)]
#[expect(non_snake_case)]
struct Expecting {
    UPPER: u8,
}

#[derive(Session)]
#[cascade(memcache)]
#[deprecated]
struct Deprecated {
    visits: u8,
}

#[derive(Session)]
#[cascade(memcache)]
struct OfDeprecatedLines {
    #[allow(deprecated)]
    line: old::Line,
    #[expect(deprecated)]
    last: old::Line,
}

fn main() {}
