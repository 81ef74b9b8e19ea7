//! "Go to definition" on an accessor leads to its field.

use proc_macro2::{Ident, LineColumn, TokenStream, TokenTree};
use syn::DeriveInput;

use super::derive;

/// The names of all functions in `tokens`.
fn functions(tokens: TokenStream, found: &mut Vec<Ident>) {
    let mut is_next = false;
    for token in tokens {
        match token {
            TokenTree::Ident(ident) if is_next => {
                found.push(ident);
                is_next = false;
            }
            TokenTree::Ident(ident) => is_next = ident == "fn",
            TokenTree::Group(group) => functions(group.stream(), found),
            _ => is_next = false,
        }
    }
}

fn check(head: &str) {
    let source = format!(
        "{head} struct Shop {{\n\
         visits: u64,\n\
         #[session(flash)] notices: Vec<String>,\n\
         #[session(lazy, accessor = \"kind\")] r#type: u8,\n\
         }}"
    );
    let input: DeriveInput = syn::parse_str(&source).unwrap();
    let mut found = Vec::new();
    functions(derive(&input), &mut found);
    // Those that change a field are in both companions.
    let starts = |name: &str| {
        let named: Vec<_> = found.iter().filter(|ident| *ident == name).collect();
        assert!((1..=2).contains(&named.len()), "{name} in {found:?}");
        named.into_iter().map(|ident| ident.span().start())
    };
    for (line, field, accessors) in [
        (2, "visits", ["visits", "visits_mut", "set_visits"]),
        (3, "notices", ["notices", "push_notices", "take_notices"]),
        (4, "r#type", ["kind", "kind_mut", "set_kind"]),
    ] {
        let column = source.lines().nth(line - 1).and_then(|text| text.find(field)).unwrap();
        for name in accessors {
            assert!(starts(name).all(|start| start == LineColumn { line, column }), "{name}");
        }
    }
}

#[test]
fn an_accessor_is_defined_where_its_field_is() {
    check("#[cascade(memcache)]");
}

#[test]
fn an_accessor_of_a_struct_with_errors_is_defined_where_its_field_is() {
    check("#[session(vers)] #[cascade(memca)]");
}
