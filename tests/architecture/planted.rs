//! That the checker finds what it looks for.

use crate::files_of;
use crate::rules::Architecture;
use crate::source::Files;

/// A crate of a few files, each with its path and its text.
fn small(files: &[(&str, &str)]) -> Architecture {
    let files = files
        .iter()
        .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()));
    Architecture::of(&files.collect())
}

/// The crate itself, with more text behind one of its files.
fn planted(file: &str, text: &str) -> Architecture {
    let mut files: Files = files_of("session-runtime");
    files.get_mut(file).unwrap().push_str(text);
    Architecture::of(&files)
}

#[test]
fn an_upward_import_is_named() {
    let small = small(&[
        ("lib.rs", "mod cbor; mod session; mod tier;"),
        ("cbor.rs", "pub struct Reader;"),
        (
            "session.rs",
            "use crate::cbor::Reader; use crate::tier::{Tiers, TierError};",
        ),
        (
            "tier.rs",
            "pub struct Tiers; pub struct TierError; fn open(_: crate::cbor::Reader) {}",
        ),
    ]);
    assert_eq!(small.wrong_arrows(), ["session.rs imports tier.rs (TierError, Tiers)"]);
}

#[test]
fn the_one_name_that_is_excepted_may_be_imported() {
    let small = small(&[
        ("lib.rs", "mod session; mod tier;"),
        ("session.rs", "use crate::tier::Tiers;"),
        ("tier.rs", "bitflags::bitflags! { pub struct Tiers: u8 {} }"),
    ]);
    assert_eq!(small.wrong_arrows(), [""; 0]);
}

#[test]
fn an_import_is_followed_to_the_file_that_defines_the_name() {
    let small = small(&[
        ("lib.rs", "mod cascade; mod request; pub use request::*;"),
        ("request/mod.rs", "mod typed; pub use self::typed::Typed as Session;"),
        ("request/typed.rs", "pub struct Typed;"),
        ("cascade/mod.rs", "pub mod driver;"),
        ("cascade/driver.rs", "fn of(_: crate::Session) {}"),
    ]);
    assert_eq!(
        small.wrong_arrows(),
        ["cascade/driver.rs imports request/typed.rs (Typed)"]
    );
}

#[test]
fn paths_in_functions_and_macros_are_seen() {
    let small = small(&[
        ("lib.rs", "mod cbor; mod keys; mod clock;"),
        ("keys.rs", "pub const LEN: usize = 1;"),
        ("clock.rs", "pub const NOW: usize = 1;"),
        (
            "cbor.rs",
            "fn f() { use crate::clock as time; println!(\"{}\", [super::keys::LEN; 1][0]); }",
        ),
    ]);
    assert_eq!(
        small.wrong_arrows(),
        ["cbor.rs imports clock.rs (self)", "cbor.rs imports keys.rs (LEN)"]
    );
}

#[test]
fn a_path_that_leads_nowhere_and_a_room_without_a_rule_are_named() {
    let small = small(&[
        ("lib.rs", "mod cbor; mod attic;"),
        ("cbor.rs", "use crate::cellar::Wine;"),
        ("attic.rs", "use crate::cbor;"),
    ]);
    assert_eq!(
        small.wrong_arrows(),
        [
            "cbor.rs: `crate::cellar::Wine` leads nowhere",
            "attic.rs: no rule says what `attic` may import"
        ]
    );
}

#[test]
fn what_is_for_tests_is_left_out() {
    let small = small(&[
        ("lib.rs", "mod cbor; mod keys;"),
        ("keys.rs", "pub struct Key;"),
        (
            "cbor.rs",
            "#[cfg(test)] mod missing; #[cfg(all(test, unix))] mod tests { use crate::keys::Key; }",
        ),
    ]);
    assert_eq!(small.wrong_arrows(), [""; 0]);
}

#[test]
fn a_circle_is_named_file_by_file() {
    let small = small(&[
        ("lib.rs", "mod session;"),
        (
            "session/mod.rs",
            "mod record; mod schema; mod slot; pub use schema::Schema;",
        ),
        ("session/record.rs", "use super::Schema; pub struct Record;"),
        ("session/schema.rs", "use super::slot::Slot; pub struct Schema;"),
        (
            "session/slot.rs",
            "use crate::session::record; pub struct Slot(record::Record);",
        ),
    ]);
    assert_eq!(
        small.circles(),
        [
            "session/record.rs -[Schema]-> session/schema.rs -[Slot]-> session/slot.rs -[Record, self]-> session/record.rs"
        ]
    );
}

#[test]
fn a_module_may_have_the_name_of_what_it_defines() {
    let small = small(&[
        ("lib.rs", "mod session;"),
        ("session/mod.rs", "mod migrate; mod schema;"),
        ("session/migrate.rs", "use super::schema::Schema; pub fn migrate() {}"),
        (
            "session/schema.rs",
            "use super::migrate; pub struct Schema; fn f() { migrate::migrate() }",
        ),
    ]);
    assert_eq!(
        small.circles(),
        ["session/migrate.rs -[Schema]-> session/schema.rs -[migrate, self]-> session/migrate.rs"]
    );
}

#[test]
fn a_module_and_those_below_it_are_one_room() {
    let small = small(&[
        ("lib.rs", "mod session;"),
        (
            "session/mod.rs",
            "pub mod record; use record::Record; pub struct Schema;",
        ),
        (
            "session/record/mod.rs",
            "mod wire; use wire::Writer; pub struct Record;",
        ),
        (
            "session/record/wire.rs",
            "use super::Record; use crate::session::Schema; pub struct Writer;",
        ),
    ]);
    assert_eq!(small.circles(), [""; 0]);
}

#[test]
fn an_upward_import_in_the_crate_itself_is_named() {
    let planted = planted("cbor/head.rs", "use crate::edge::CookieOptions;");
    let wrong = planted.wrong_arrows();
    let expected = "cbor/head.rs imports edge/cookie.rs (CookieOptions)".to_owned();
    assert!(wrong.contains(&expected), "{wrong:#?}");
}

#[test]
fn a_circle_in_the_crate_itself_is_named() {
    let planted = planted("cascade/queue.rs", "use super::inner::StoreInner;");
    let circles = planted.circles();
    let expected = "cascade/inner.rs -[WriteQueues]-> cascade/queue.rs -[StoreInner]-> cascade/inner.rs".to_owned();
    assert!(circles.contains(&expected), "{circles:#?}");
}

#[test]
fn http_outside_of_the_edge_is_named() {
    let planted = planted(
        "request/state.rs",
        "fn f(_: tower_layer::Identity) { http::Method::GET; }",
    );
    let wrong = planted.wrong_crates();
    for name in ["http", "tower_layer"] {
        let expected = format!("request/state.rs imports the crate `{name}`");
        assert!(wrong.contains(&expected), "{wrong:#?}");
    }
}
