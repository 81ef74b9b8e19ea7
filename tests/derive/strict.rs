//! A session under strict clippy lints: the generated code must not trip one.
#![deny(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::cargo_common_metadata
)]
#![deny(
    clippy::missing_inline_in_public_items,
    clippy::unwrap_used,
    clippy::allow_attributes_without_reason
)]
#![allow(unreachable_pub, reason = "public items have lints of their own")]

use session_runtime::Session;

/// A shop.
#[derive(Debug, Session)]
#[session(version = 2, removed("old"))]
#[cascade(request, memcache, datastore)]
pub struct Strict {
    /// What is in the cart.
    ///
    /// By name.
    pub lines: Vec<String>,
    /// How often.
    #[session(merge = add, upgrade(1, widen))]
    pub visits: u64,
    /// Whose.
    #[session(privileged, secret)]
    pub user: Option<u64>,
    /// Read once.
    #[session(flash)]
    pub notices: Vec<String>,
    /// Rarely read.
    #[session(lazy, on_invalid = default, default = String::from("empty"))]
    pub history: String,
    private: bool,
}

fn widen(old: i64) -> Result<u64, std::num::TryFromIntError> {
    u64::try_from(old)
}

#[test]
fn the_schema_holds_what_the_attributes_say() {
    let schema = Strict::SCHEMA;
    assert_eq!(
        (schema.name, schema.version, schema.removed),
        ("strict", 2, &["old"][..])
    );
    let names: Vec<_> = schema.fields.iter().map(|field| field.name).collect();
    assert_eq!(names, ["user", "lines", "visits", "history", "notices", "private"]);
    let marked = |mark: fn(&session_runtime::__private::session::FieldSpec) -> bool| {
        let marked = schema.fields.iter().filter(|field| mark(field));
        marked.map(|field| field.name).collect::<Vec<_>>()
    };
    assert_eq!(marked(|field| field.privileged), ["user"]);
    assert_eq!(marked(|field| field.secret), ["user"]);
    assert_eq!(marked(|field| field.default_on_invalid), ["history"]);
    let mut default = Vec::new();
    (schema.fields[3].default)(&mut default).unwrap();
    assert_eq!(default, b"eempty");
}
