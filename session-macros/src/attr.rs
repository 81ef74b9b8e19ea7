//! The words of the attributes, and what is written behind them.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, Expr, ExprLit, ExprPath, Ident, Lit, LitStr, Meta, Path, Token, parenthesized};

use crate::ctxt::Ctxt;

pub(crate) const SESSION: &str = "session";
pub(crate) const CASCADE: &str = "cascade";

pub(crate) const ON_STRUCT: &[&str] = &["name", "version", "previous", "removed", "fingerprint", "crate"];
pub(crate) const ON_FIELD: &[&str] = &[
    "default",
    "merge",
    "privileged",
    "flash",
    "lazy",
    "was",
    "upgrade",
    "on_invalid",
    "accessor",
    "secret",
];

/// One word of an attribute with what follows it.
pub(crate) struct Item {
    pub(crate) word: Ident,
    value: Value,
}

enum Value {
    /// `word`
    None,
    /// `word = expr`
    Expr(Box<Expr>),
    /// `word(tokens)`
    List(TokenStream),
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let Ok(word) = input.call(Ident::parse_any) else {
            return Err(input.error("a word is expected here, such as `name` on the struct or `default` on a field"));
        };
        let value = if input.peek(Token![=]) {
            let eq: Token![=] = input.parse()?;
            if input.is_empty() || input.peek(Token![,]) {
                return Err(syn::Error::new_spanned(
                    eq,
                    format!("a value is missing after `{word} =`"),
                ));
            }
            Value::Expr(ungrouped(input.parse()?))
        } else if input.peek(syn::token::Paren) {
            let content;
            parenthesized!(content in input);
            Value::List(content.parse()?)
        } else {
            Value::None
        };
        if !input.is_empty() && !input.peek(Token![,]) {
            return Err(input.error("expected `,`"));
        }
        Ok(Self { word, value })
    }
}

/// What a macro was given as `$value:literal`, `$value:expr` or `$value:path` comes in a group that no source shows.
fn ungrouped(mut expr: Box<Expr>) -> Box<Expr> {
    while let Expr::Group(group) = *expr {
        expr = group.expr;
    }
    expr
}

impl ToTokens for Item {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.word.to_tokens(tokens);
        match &self.value {
            Value::None => {}
            Value::Expr(expr) => expr.to_tokens(tokens),
            Value::List(list) => list.to_tokens(tokens),
        }
    }
}

/// The words of all `#[session(...)]` in `attrs`; what cannot be read is reported and skipped up to the next comma.
pub(crate) fn items(ctxt: &Ctxt, attrs: &[Attribute]) -> Vec<Item> {
    let mut items = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident(SESSION)) {
        let Meta::List(list) = &attr.meta else {
            ctxt.error_at(
                &attr.meta,
                "write `#[session(...)]`, with what it should say in parentheses",
            );
            continue;
        };
        let read = |input: ParseStream<'_>| {
            while !input.is_empty() {
                match input.parse() {
                    Ok(item) => items.push(item),
                    Err(error) => {
                        ctxt.push(error);
                        while !input.is_empty() && !input.peek(Token![,]) {
                            input.parse::<TokenTree>()?;
                        }
                    }
                }
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        };
        if let Err(error) = read.parse2(list.tokens.clone()) {
            ctxt.push(error);
        }
    }
    items
}

impl Item {
    /// Nothing may follow.
    pub(crate) fn flag(&self, ctxt: &Ctxt) -> Option<Span> {
        match &self.value {
            Value::None => Some(self.word.span()),
            _ => self.wrong(ctxt, &format!("`{}` takes no value", self.word)),
        }
    }

    /// `= expr`
    pub(crate) fn expr(&self, ctxt: &Ctxt, example: &str) -> Option<&Expr> {
        match &self.value {
            Value::Expr(expr) => Some(expr),
            _ => self.wrong(ctxt, &format!("write `{} = {example}`", self.word)),
        }
    }

    /// `= "text"`
    pub(crate) fn string(&self, ctxt: &Ctxt, example: &str) -> Option<&LitStr> {
        match self.expr(ctxt, example)? {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            }) => Some(text),
            other => self.no_literal(ctxt, other, example),
        }
    }

    /// `= 1`
    pub(crate) fn int<N>(&self, ctxt: &Ctxt, example: &str) -> Option<Number<N>>
    where
        N: std::str::FromStr<Err: std::fmt::Display>,
    {
        let value = self.expr(ctxt, example)?;
        let Expr::Lit(ExprLit { lit: Lit::Int(lit), .. }) = value else {
            return self.no_literal(ctxt, value, example);
        };
        let Ok(value) = lit.base10_parse() else {
            let bits = 8 * size_of::<N>();
            let message = format!("`{}` is a number of {bits} bits; this one has more", self.word);
            return wrong(ctxt, lit, &message);
        };
        let lit = lit.clone();
        Some(Number { value, lit })
    }

    /// What an expression comes to, a derive cannot see.
    fn no_literal<T>(&self, ctxt: &Ctxt, value: &Expr, example: &str) -> Option<T> {
        let why = match value {
            Expr::Lit(_) => "",
            _ => ", as a literal",
        };
        wrong(ctxt, value, &format!("write `{} = {example}`{why}", self.word))
    }

    /// `= path::to::something`
    pub(crate) fn path(&self, ctxt: &Ctxt, example: &str) -> Option<&Path> {
        match self.expr(ctxt, example)? {
            Expr::Path(ExprPath { qself: None, path, .. }) => Some(path),
            other => wrong(ctxt, other, &format!("write `{} = {example}`", self.word)),
        }
    }

    /// `("one", "two")`
    pub(crate) fn strings(&self, ctxt: &Ctxt, example: &str) -> Vec<LitStr> {
        let Value::List(list) = &self.value else {
            let _: Option<()> = self.wrong(ctxt, &format!("write `{}({example})`", self.word));
            return Vec::new();
        };
        let parser = syn::punctuated::Punctuated::<LitStr, Token![,]>::parse_terminated;
        match parser.parse2(list.clone()) {
            Ok(strings) if !strings.is_empty() => strings.into_iter().collect(),
            _ => {
                let _: Option<()> = self.wrong(ctxt, &format!("write `{}({example})`", self.word));
                Vec::new()
            }
        }
    }

    /// `= "one"` or `("one", "two")`
    pub(crate) fn string_or_strings(&self, ctxt: &Ctxt, example: &str) -> Vec<LitStr> {
        match &self.value {
            Value::List(_) => self.strings(ctxt, example),
            _ => self.string(ctxt, example).into_iter().cloned().collect(),
        }
    }

    /// `(tokens)`, as `T`
    pub(crate) fn list<T: Parse>(&self, ctxt: &Ctxt, example: &str) -> Option<T> {
        let Value::List(list) = &self.value else {
            return self.wrong(ctxt, &format!("write `{}({example})`", self.word));
        };
        match syn::parse2(list.clone()) {
            Ok(read) => Some(read),
            Err(_) => self.wrong(ctxt, &format!("write `{}({example})`", self.word)),
        }
    }

    fn wrong<T>(&self, ctxt: &Ctxt, message: &str) -> Option<T> {
        wrong(ctxt, self, message)
    }
}

/// A number, and the literal that it was written as.
#[derive(Clone)]
pub(crate) struct Number<N> {
    pub(crate) value: N,
    pub(crate) lit: syn::LitInt,
}

fn wrong<T>(ctxt: &Ctxt, at: impl ToTokens, message: &str) -> Option<T> {
    ctxt.error_at(at, message);
    None
}

/// What may be said once; the second time is reported at both places.
pub(crate) struct Once<T> {
    value: Option<T>,
    first: Option<Ident>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self {
            value: None,
            first: None,
        }
    }
}

impl<T> Once<T> {
    /// Notes that `word` was met, before its value is read: a broken value counts as well.
    pub(crate) fn meet(&mut self, ctxt: &Ctxt, word: &Ident) {
        match &self.first {
            None => self.first = Some(word.clone()),
            Some(first) => twice(ctxt, &word.to_string(), first, word),
        }
    }

    pub(crate) fn set(&mut self, ctxt: &Ctxt, word: &Ident, value: Option<T>) {
        self.meet(ctxt, word);
        if self.value.is_none() {
            self.value = value;
        }
    }

    pub(crate) fn into_value(self) -> Option<T> {
        self.value
    }

    /// The value with the word that it stands behind.
    pub(crate) fn into_pair(self) -> Option<(Ident, T)> {
        self.first.zip(self.value)
    }
}

/// Something is there twice, and only one of the two can be meant.
pub(crate) fn twice(ctxt: &Ctxt, what: &str, first: impl ToTokens, second: impl ToTokens) {
    ctxt.error_at(first, format!("`{what}` is here first"));
    ctxt.error_at(second, format!("`{what}` is here again; keep one of the two"));
}

/// Someone wrote a word that does not belong here.
pub(crate) fn unknown(ctxt: &Ctxt, item: &Item, here: &str, known: &[&str], there: &str, elsewhere: &[&str]) {
    let word = item.word.to_string();
    if elsewhere.contains(&&*word) {
        ctxt.error_at(&item.word, format!("`{word}` belongs on {there}, not on {here}"));
    } else {
        let known = known
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", ");
        ctxt.error_at(
            &item.word,
            format!("unknown word `{word}`; on {here} there may be {known}"),
        );
    }
}
