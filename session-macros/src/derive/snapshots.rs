//! The generated code, for review: each of `snapshots/*.rs` holds a struct and, below it, the code generated for it.
//!
//! `SNAPSHOTS=overwrite cargo test -p session-macros` writes the generated code anew; it needs rustfmt.

use std::path::{Path, PathBuf};
use std::process::Command;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{DeriveInput, File, Item};

use super::derive;

/// The tokens, without what rustfmt may add or take: commas, and braces round a single expression.
fn normalize(tokens: TokenStream, words: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let is_brace = group.delimiter() == Delimiter::Brace;
                words.extend((!is_brace).then(|| format!("{:?}", group.delimiter())));
                normalize(group.stream(), words);
                words.extend((!is_brace).then(|| "end".into()));
            }
            TokenTree::Punct(punct) if punct.as_char() == ',' => {}
            other => words.push(other.to_string()),
        }
    }
}

fn normalized(tokens: TokenStream) -> Vec<String> {
    let mut all = Vec::new();
    normalize(tokens, &mut all);
    all
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/derive/snapshots")
        .join(name)
}

fn check(name: &str) {
    let source = std::fs::read_to_string(path(name)).unwrap();
    let file: File = syn::parse_str(&source).unwrap();
    let [input, written @ ..] = &file.items[..] else {
        panic!("{name} is empty");
    };
    let Item::Struct(item) = input else {
        panic!("{name} does not begin with a struct");
    };
    let today = derive(&DeriveInput::from(item.clone()));
    if std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite") {
        let head = source.split_inclusive("\n}\n").next().unwrap();
        std::fs::write(path(name), format!("{head}\n// Generated:\n\n{today}")).unwrap();
        let rustfmt = Command::new("rustfmt")
            .args(["--edition", "2024", "--config", "max_width=120"])
            .arg(path(name))
            .status();
        assert!(rustfmt.unwrap().success());
        return;
    }
    let written = written.iter().map(ToTokens::to_token_stream).collect();
    let is_written = normalized(written) == normalized(today);
    assert!(
        is_written,
        "{name} is not what the derive generates: overwrite it, and review the difference"
    );
}

#[test]
fn of_a_small_session() {
    check("small.rs");
}

#[test]
fn of_every_argument() {
    check("every_argument.rs");
}

#[test]
fn of_a_struct_with_an_error() {
    check("error.rs");
}

#[test]
fn both_names_of_a_tier_generate_the_same() {
    let with_tiers = |tiers: &str| {
        let source = format!("#[cascade({tiers})] struct Shop {{ visits: u64 }}");
        derive(&syn::parse_str(&source).unwrap()).to_string()
    };
    let by_product = with_tiers("request, memcache, datastore");
    assert_eq!(with_tiers("request, cache, durable"), by_product);
    assert_eq!(with_tiers("request, cache, datastore"), by_product);
    assert_ne!(with_tiers("request, cache"), by_product);
}
