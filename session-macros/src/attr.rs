//! The arguments of `#[session(...)]`: `key`, `key = value` and `key(...)`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, Expr, ExprLit, ExprPath, Ident, Lit, LitStr, Meta, Path, Token, parenthesized};

use crate::ctxt::Ctxt;

pub(crate) const SESSION: &str = "session";
pub(crate) const CASCADE: &str = "cascade";
pub(crate) const SERDE: &str = "serde";

pub(crate) const ON_STRUCT: &[&str] = &[
    "name",
    "version",
    "previous",
    "removed",
    "fingerprint",
    "crate",
    "idle",
    "max_age",
    "cookie",
];
pub(crate) const ON_COOKIE: &[&str] = &["name", "same_site", "path", "domain", "http_only", "partitioned"];
pub(crate) const ON_FIELD: &[&str] = &[
    "default",
    "merge",
    "privileged",
    "owner",
    "flash",
    "lazy",
    "was",
    "upgrade",
    "on_invalid",
    "accessor",
    "secret",
];

/// One argument of an attribute.
pub(crate) struct Arg {
    pub(crate) key: Ident,
    value: Value,
}

enum Value {
    /// `key`
    None,
    /// `key = expr`
    Expr(Box<Expr>),
    /// `key(tokens)`
    List(TokenStream),
}

impl Parse for Arg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let Ok(key) = input.call(Ident::parse_any) else {
            return Err(input.error("expected an argument, such as `name` on the struct or `default` on a field"));
        };
        let value = if input.peek(Token![=]) {
            let eq: Token![=] = input.parse()?;
            if input.is_empty() || input.peek(Token![,]) {
                return Err(syn::Error::new_spanned(
                    eq,
                    format!("a value is missing after `{key} =`"),
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
        Ok(Self { key, value })
    }
}

/// An expression that a `macro_rules!` captured arrives in an invisible group.
fn ungrouped(mut expr: Box<Expr>) -> Box<Expr> {
    while let Expr::Group(group) = *expr {
        expr = group.expr;
    }
    expr
}

impl ToTokens for Arg {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.key.to_tokens(tokens);
        match &self.value {
            Value::None => {}
            Value::Expr(expr) => expr.to_tokens(tokens),
            Value::List(list) => list.to_tokens(tokens),
        }
    }
}

/// Reports every `#[serde(...)]`: the derive stores a session field by field, without serde's derives.
pub(crate) fn report_serde(ctxt: &Ctxt, attrs: &[Attribute], instead: &str) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident(SERDE)) {
        ctxt.error_at(
            &attr.meta,
            format!("serde's attributes have no effect on what is stored of a session: {instead}"),
        );
    }
}

/// The arguments of all `#[session(...)]` in `attrs`. One that does not parse is reported, and skipped up to the next
/// comma.
pub(crate) fn args(ctxt: &Ctxt, attrs: &[Attribute]) -> Vec<Arg> {
    let mut args = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident(SESSION)) {
        let Meta::List(list) = &attr.meta else {
            ctxt.error_at(&attr.meta, "write `#[session(...)]`, with the arguments in parentheses");
            continue;
        };
        read_args(ctxt, list.tokens.clone(), &mut args);
    }
    args
}

fn read_args(ctxt: &Ctxt, tokens: TokenStream, args: &mut Vec<Arg>) {
    let read = |input: ParseStream<'_>| {
        while !input.is_empty() {
            match input.parse() {
                Ok(arg) => args.push(arg),
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
    if let Err(error) = read.parse2(tokens) {
        ctxt.push(error);
    }
}

impl Arg {
    /// `key`, without a value
    pub(crate) fn flag(&self, ctxt: &Ctxt) -> Option<Span> {
        match &self.value {
            Value::None => Some(self.key.span()),
            _ => self.report(ctxt, &format!("`{}` takes no value", self.key)),
        }
    }

    /// `= expr`
    pub(crate) fn expr(&self, ctxt: &Ctxt, example: &str) -> Option<&Expr> {
        match &self.value {
            Value::Expr(expr) => Some(expr),
            _ => self.report(ctxt, &format!("write `{} = {example}`", self.key)),
        }
    }

    /// `= "text"`
    pub(crate) fn string(&self, ctxt: &Ctxt, example: &str) -> Option<&LitStr> {
        match self.expr(ctxt, example)? {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            }) => Some(text),
            other => self.report_no_literal(ctxt, other, example),
        }
    }

    /// `= true`
    pub(crate) fn bool(&self, ctxt: &Ctxt, example: &str) -> Option<bool> {
        match self.expr(ctxt, example)? {
            Expr::Lit(ExprLit {
                lit: Lit::Bool(lit), ..
            }) => Some(lit.value),
            other => self.report_no_literal(ctxt, other, example),
        }
    }

    /// `= 1`
    pub(crate) fn int<N>(&self, ctxt: &Ctxt, example: &str) -> Option<Number<N>>
    where
        N: std::str::FromStr<Err: std::fmt::Display>,
    {
        let value = self.expr(ctxt, example)?;
        let Expr::Lit(ExprLit { lit: Lit::Int(lit), .. }) = value else {
            return self.report_no_literal(ctxt, value, example);
        };
        let Ok(value) = lit.base10_parse() else {
            let bits = 8 * size_of::<N>();
            let message = format!("`{}` is a number of {bits} bits; this one has more", self.key);
            return report(ctxt, lit, &message);
        };
        let lit = lit.clone();
        Some(Number { value, lit })
    }

    /// A derive sees the expression, never its value.
    fn report_no_literal<T>(&self, ctxt: &Ctxt, value: &Expr, example: &str) -> Option<T> {
        let why = match value {
            Expr::Lit(_) => "",
            _ => ", as a literal",
        };
        report(ctxt, value, &format!("write `{} = {example}`{why}", self.key))
    }

    /// `= path::to::something`
    pub(crate) fn path(&self, ctxt: &Ctxt, example: &str) -> Option<&Path> {
        match self.expr(ctxt, example)? {
            Expr::Path(ExprPath { qself: None, path, .. }) => Some(path),
            other => report(ctxt, other, &format!("write `{} = {example}`", self.key)),
        }
    }

    /// `("one", "two")`
    pub(crate) fn strings(&self, ctxt: &Ctxt, example: &str) -> Vec<LitStr> {
        let Value::List(list) = &self.value else {
            let _: Option<()> = self.report(ctxt, &format!("write `{}({example})`", self.key));
            return Vec::new();
        };
        let parser = syn::punctuated::Punctuated::<LitStr, Token![,]>::parse_terminated;
        match parser.parse2(list.clone()) {
            Ok(strings) if !strings.is_empty() => strings.into_iter().collect(),
            _ => {
                let _: Option<()> = self.report(ctxt, &format!("write `{}({example})`", self.key));
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
            return self.report(ctxt, &format!("write `{}({example})`", self.key));
        };
        match syn::parse2(list.clone()) {
            Ok(read) => Some(read),
            Err(_) => self.report(ctxt, &format!("write `{}({example})`", self.key)),
        }
    }

    /// `(key, key = value)`, at least one
    pub(crate) fn args(&self, ctxt: &Ctxt, example: &str) -> Option<Vec<Self>> {
        let Value::List(list) = &self.value else {
            return self.report(ctxt, &format!("write `{}({example})`", self.key));
        };
        if list.is_empty() {
            return self.report(ctxt, &format!("write `{}({example})`", self.key));
        }
        let mut args = Vec::new();
        read_args(ctxt, list.clone(), &mut args);
        Some(args)
    }

    fn report<T>(&self, ctxt: &Ctxt, message: &str) -> Option<T> {
        report(ctxt, self, message)
    }
}

/// A number, and the literal that it was written as.
#[derive(Clone)]
pub(crate) struct Number<N> {
    pub(crate) value: N,
    pub(crate) lit: syn::LitInt,
}

fn report<T>(ctxt: &Ctxt, at: impl ToTokens, message: &str) -> Option<T> {
    ctxt.error_at(at, message);
    None
}

/// An argument that may be given once; a second one is reported at both places.
pub(crate) struct Attr<T> {
    value: Option<T>,
    first: Option<Ident>,
}

impl<T> Default for Attr<T> {
    fn default() -> Self {
        Self {
            value: None,
            first: None,
        }
    }
}

impl<T> Attr<T> {
    /// A key with a malformed value counts as given.
    fn mark_seen(&mut self, ctxt: &Ctxt, key: &Ident) {
        match &self.first {
            None => self.first = Some(key.clone()),
            Some(first) => report_duplicate(ctxt, &key.to_string(), first, key),
        }
    }

    pub(crate) fn set(&mut self, ctxt: &Ctxt, key: &Ident, value: Option<T>) {
        self.mark_seen(ctxt, key);
        if self.value.is_none() {
            self.value = value;
        }
    }

    pub(crate) fn into_value(self) -> Option<T> {
        self.value
    }

    /// The value with its key.
    pub(crate) fn into_pair(self) -> Option<(Ident, T)> {
        self.first.zip(self.value)
    }
}

/// `what` is given twice, and only one of the two can be meant.
pub(crate) fn report_duplicate(ctxt: &Ctxt, what: &str, first: impl ToTokens, second: impl ToTokens) {
    ctxt.error_at(first, format!("`{what}` is here first"));
    ctxt.error_at(second, format!("`{what}` is here again; keep one of the two"));
}

/// `arg` is not among those `known` here: it belongs `elsewhere`, or nowhere.
pub(crate) fn report_unknown(ctxt: &Ctxt, arg: &Arg, here: &str, known: &[&str], there: &str, elsewhere: &[&str]) {
    let key = arg.key.to_string();
    if elsewhere.contains(&&*key) {
        ctxt.error_at(&arg.key, format!("`{key}` belongs on {there}, not on {here}"));
    } else {
        let known = known
            .iter()
            .map(|key| format!("`{key}`"))
            .collect::<Vec<_>>()
            .join(", ");
        ctxt.error_at(&arg.key, format!("unknown argument `{key}`; {here} takes {known}"));
    }
}
