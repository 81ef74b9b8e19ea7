//! The model of a session, with the syntax nodes that errors point at.

mod cookie;
mod field;
mod lifetime;
mod tiers;

use std::collections::HashSet;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Fields, Ident, LitInt, LitStr, Path};

use crate::attr::{self, Attr, Number};
use crate::ctxt::Ctxt;
use crate::fingerprint;
pub(crate) use cookie::Cookie;
pub(crate) use field::{Field, Kind, Merge, Upgrade, flash_item};
pub(crate) use lifetime::Lifetime;
pub(crate) use tiers::Tier;

/// A struct with `#[derive(Session)]`.
pub(crate) struct Session<'a> {
    pub(crate) input: &'a DeriveInput,
    /// The generated struct that holds the slots: `ShopFields`.
    pub(crate) companion: Ident,
    /// The generated struct in which privileged fields are read-only: `ShopDetached`.
    pub(crate) detached: Ident,
    pub(crate) name: String,
    pub(crate) name_lit: Option<LitStr>,
    pub(crate) version: u32,
    pub(crate) version_lit: Option<LitInt>,
    pub(crate) previous: Option<(Ident, Path)>,
    pub(crate) removed: Vec<LitStr>,
    pub(crate) idle: Option<Lifetime>,
    pub(crate) max_age: Option<Lifetime>,
    pub(crate) cookie: Option<Cookie>,
    pub(crate) fingerprint: u64,
    pub(crate) expected_fingerprint: Option<Number<u64>>,
    pub(crate) tiers: Vec<Tier>,
    pub(crate) fields: Vec<Field<'a>>,
    krate: Option<Path>,
}

impl<'a> Session<'a> {
    pub(crate) fn from_input(ctxt: &Ctxt, input: &'a DeriveInput) -> Self {
        let mut session = Self {
            input,
            companion: format_ident!("{}Fields", input.ident.unraw(), span = input.ident.span()),
            detached: format_ident!("{}Detached", input.ident.unraw(), span = input.ident.span()),
            name: kebab_case(&input.ident.unraw().to_string()),
            name_lit: None,
            version: 1,
            version_lit: None,
            previous: None,
            removed: Vec::new(),
            idle: None,
            max_age: None,
            cookie: None,
            fingerprint: 0,
            expected_fingerprint: None,
            tiers: Vec::new(),
            fields: Vec::new(),
            krate: None,
        };
        // In the order of the source, so that mistakes are reported in it.
        session.read_attrs(ctxt);
        session.tiers = tiers::from_attrs(ctxt, input);
        let fields = named_fields(ctxt, input);
        session.fingerprint = fingerprint::of(fields.iter().copied());
        let fields = fields.into_iter().enumerate();
        session.fields = fields
            .filter_map(|(index, field)| Field::from_syn(ctxt, index, field))
            .collect();
        session
    }

    /// The field that names whose session it is.
    pub(crate) fn owner(&self) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.owner.is_some())
    }

    /// The fields in the order of a record: by encoded name, shorter ones first (RFC 8949, section 4.2.1).
    pub(crate) fn stored_fields(&self) -> Vec<&Field<'a>> {
        let mut fields: Vec<_> = self.fields.iter().collect();
        fields.sort_by_cached_key(|field| (field.name().len(), field.name()));
        fields
    }

    fn read_attrs(&mut self, ctxt: &Ctxt) {
        let (mut name, mut version, mut previous) = (Attr::default(), Attr::default(), Attr::default());
        let (mut removed, mut expected_fingerprint, mut krate) = (Attr::default(), Attr::default(), Attr::default());
        let instead = "put them on the types of its fields, or on a struct of your own that is made from `snapshot()`";
        attr::report_serde(ctxt, &self.input.attrs, instead);
        let (mut idle, mut max_age, mut cookie) = (Attr::default(), Attr::default(), Attr::default());
        for arg in &attr::args(ctxt, &self.input.attrs) {
            let key = &arg.key;
            match &*key.to_string() {
                "name" => name.set(ctxt, key, arg.string(ctxt, "\"shop\"").cloned()),
                "version" => version.set(ctxt, key, arg.int::<u32>(ctxt, "2")),
                "previous" => previous.set(ctxt, key, arg.path(ctxt, "ShopV1").cloned()),
                "removed" => removed.set(ctxt, key, Some(arg.strings(ctxt, "\"old\""))),
                "fingerprint" => expected_fingerprint.set(ctxt, key, arg.int(ctxt, "0x0123456789abcdef")),
                "crate" => krate.set(ctxt, key, arg.path(ctxt, "path::to::session_runtime").cloned()),
                "idle" => idle.set(ctxt, key, Lifetime::from_arg(ctxt, arg)),
                "max_age" => max_age.set(ctxt, key, Lifetime::from_arg(ctxt, arg)),
                "cookie" => cookie.set(ctxt, key, Cookie::from_arg(ctxt, arg)),
                of_cookie if attr::ON_COOKIE.contains(&of_cookie) => {
                    let message = format!("`{key}` belongs in `cookie(...)`: write `#[session(cookie({key} ...))]`");
                    ctxt.error_at(key, message);
                }
                _ => attr::report_unknown(ctxt, arg, "the struct", attr::ON_STRUCT, "a field", attr::ON_FIELD),
            }
        }
        if let Some(name) = name.into_value() {
            self.name = name.value();
            self.name_lit = Some(name);
        }
        if let Some(version) = version.into_value() {
            self.version = version.value;
            self.version_lit = Some(version.lit);
        }
        self.previous = previous.into_pair();
        self.removed = removed.into_value().unwrap_or_default();
        self.expected_fingerprint = expected_fingerprint.into_value();
        self.krate = krate.into_value();
        (self.idle, self.max_age) = (idle.into_value(), max_age.into_value());
        self.cookie = cookie.into_value();
    }

    /// The path to the runtime.
    pub(crate) fn krate(&self) -> TokenStream {
        let default = || quote!(::session_runtime);
        self.krate.as_ref().map_or_else(default, ToTokens::to_token_stream)
    }

    /// The path to the runtime with `span`, so that rustc underlines the whole call that starts with it.
    pub(crate) fn krate_spanned(&self, span: Span) -> TokenStream {
        let set_span = |mut token: TokenTree| {
            token.set_span(span);
            token
        };
        self.krate().into_iter().map(set_span).collect()
    }
}

fn named_fields<'a>(ctxt: &Ctxt, input: &'a DeriveInput) -> Vec<&'a syn::Field> {
    let only = "a session is a struct with named fields";
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(data) => {
            ctxt.error_at(
                data.enum_token,
                format!("{only}, not an enum; keep the enum in a field"),
            );
            return Vec::new();
        }
        Data::Union(data) => {
            ctxt.error_at(data.union_token, format!("{only}, not a union"));
            return Vec::new();
        }
    };
    match fields {
        // Of two fields with one name, only the first has accessors; rustc reports the second.
        Fields::Named(named) => {
            let mut seen = HashSet::new();
            let is_first = |field: &&syn::Field| seen.insert(field.ident.as_ref().map(IdentExt::unraw));
            named.named.iter().filter(is_first).collect()
        }
        Fields::Unnamed(unnamed) => {
            ctxt.error_at(
                unnamed,
                format!("{only}; give these names: the accessors are called after them"),
            );
            Vec::new()
        }
        Fields::Unit => {
            ctxt.error_at(
                &input.ident,
                format!("{only}; write `struct {} {{ ... }}`", input.ident),
            );
            Vec::new()
        }
    }
}

/// `ShopCart` as `shop-cart`, `HTTPShop` as `http-shop`.
fn kebab_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut kebab = String::new();
    for (at, &char) in chars.iter().enumerate() {
        let after_lower = at > 0 && !chars[at - 1].is_uppercase();
        let before_lower = at > 0 && chars.get(at + 1).is_some_and(|next| next.is_lowercase());
        if char == '_' {
            kebab.push('-');
            continue;
        }
        if char.is_uppercase() && (after_lower || before_lower) && !kebab.ends_with('-') {
            kebab.push('-');
        }
        kebab.extend(char.to_lowercase());
    }
    kebab
}

#[cfg(test)]
mod tests {
    use super::kebab_case;

    #[test]
    fn a_name_is_the_structs_in_kebab_case() {
        let names = ["Shop", "ShopCart", "HTTPShop", "ShopV1", "Shop_Cart", "shop"].map(kebab_case);
        assert_eq!(
            names,
            ["shop", "shop-cart", "http-shop", "shop-v1", "shop-cart", "shop"]
        );
    }
}
