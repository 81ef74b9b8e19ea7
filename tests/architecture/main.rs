//! The arrows of `ARCHITECTURE.md`, checked: who imports whom, read from the source of both crates.
//!
//! `cargo test -p session-tests --test architecture -- --nocapture` prints the whole list. What an import does not show
//! is not seen: a method that is called on a value whose type another file has named.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the functions that tests share fail as tests do"
)]

mod dependencies;
mod imports;
mod metrics_page;
mod pages;
mod planted;
mod rules;
mod security_page;
mod source;

use std::path::Path;

use rules::Architecture;
use source::Files;

fn files_of(package: &str) -> Files {
    source::read(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(package)
            .join("src"),
    )
}

fn assert_none(wrong: &[String], rule: &str) {
    assert!(wrong.is_empty(), "{rule}:\n  {}\n", wrong.join("\n  "));
}

#[test]
fn session_runtime_imports_downwards() {
    let runtime = Architecture::of(&files_of("session-runtime"));
    println!("{}", runtime.describe());
    assert_none(&runtime.wrong_arrows(), "a room imports what it must not know");
}

#[test]
fn session_runtime_knows_http_at_the_edge_alone() {
    let runtime = Architecture::of(&files_of("session-runtime"));
    assert_none(&runtime.wrong_crates(), "only `edge` knows HTTP");
}

#[test]
fn session_runtime_has_no_circle() {
    let runtime = Architecture::of(&files_of("session-runtime"));
    assert_none(&runtime.circles(), "files import each other");
}

#[test]
fn session_macros_has_no_circle() {
    let macros = Architecture::of(&files_of("session-macros"));
    println!("{}", macros.describe());
    assert_none(&macros.circles(), "files import each other");
}
