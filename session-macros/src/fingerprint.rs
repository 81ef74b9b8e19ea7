//! A hash of a struct's fields as written in the source. Records store it, so it must never change for the same fields.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;

use crate::attr;

/// Over the fields' names, types and `#[session(...)]`, in their order; not over comments, visibility, layout, or what
/// is on the struct.
pub(crate) fn of<'a>(fields: impl Iterator<Item = &'a syn::Field>) -> u64 {
    let mut hash = Fnv::new();
    for field in fields {
        hash.tokens(field.ident.to_token_stream());
        hash.token(b':', "");
        hash.tokens(field.ty.to_token_stream());
        for attr in field.attrs.iter().filter(|attr| attr.path().is_ident(attr::SESSION)) {
            hash.token(b'#', "");
            hash.tokens(attr.meta.to_token_stream());
        }
        hash.token(b';', "");
    }
    hash.0
}

/// FNV-1a, 64 bits: draft-eastlake-fnv, section 5. Implemented here, since it must never change.
struct Fnv(u64);

impl Fnv {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;

    fn new() -> Self {
        Self(Self::OFFSET)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(Self::PRIME);
        }
    }

    /// One token with its kind. 0xff ends it, since that byte is in no UTF-8 text.
    fn token(&mut self, kind: u8, text: &str) {
        self.bytes(&[kind]);
        self.bytes(text.as_bytes());
        self.bytes(&[0xff]);
    }

    /// Token by token, since the spacing of `to_string` differs between compilers.
    fn tokens(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => self.token(b'i', &ident.to_string()),
                TokenTree::Literal(literal) => self.token(b'l', &literal.to_string()),
                TokenTree::Punct(punct) => self.token(b'p', punct.as_char().encode_utf8(&mut [0; 4])),
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Parenthesis => ("(", ")"),
                        Delimiter::Brace => ("{", "}"),
                        Delimiter::Bracket => ("[", "]"),
                        // Around what a `macro_rules!` captured; not in the source.
                        Delimiter::None => ("", ""),
                    };
                    if !open.is_empty() {
                        self.token(b'g', open);
                    }
                    self.tokens(group.stream());
                    if !close.is_empty() {
                        self.token(b'g', close);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_struct(source: &str) -> u64 {
        let item: syn::ItemStruct = syn::parse_str(source).unwrap();
        of(item.fields.iter())
    }

    #[test]
    fn matches_a_published_fnv_1a_value() {
        let mut hash = Fnv::new();
        hash.bytes(b"foobar");
        assert_eq!(hash.0, 0x8594_4171_f739_67e8);
    }

    #[test]
    fn never_changes() {
        assert_eq!(
            0xa0a9_12d4_86bb_0579,
            of_struct(
                "struct Shop { #[session(merge = entries(add))] lines: BTreeMap<String, u32>, note: Option<String> }"
            )
        );
    }

    #[test]
    fn ignores_layout_comments_and_visibility() {
        let plain = of_struct("struct A { a: Vec<Vec<u8>>, }");
        assert_eq!(
            plain,
            of_struct("struct B { /// a comment\n pub a : Vec < Vec < u8 > > }")
        );
    }

    #[test]
    fn depends_on_names_types_attributes_and_order() {
        let all = [
            "struct A { a: u8, b: u8 }",
            "struct A { b: u8, a: u8 }",
            "struct A { a: u8, c: u8 }",
            "struct A { a: u16, b: u8 }",
            "struct A { #[session(privileged)] a: u8, b: u8 }",
        ]
        .map(of_struct);
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{at}");
        }
    }
}
