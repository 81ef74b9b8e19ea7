//! The model of a session: what the derive's input says, with the nodes that it was said in.

use std::collections::HashSet;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Data, DeriveInput, Expr, ExprCall, ExprPath, Fields, GenericArgument, Ident, LitInt, LitStr, Meta, Path,
    PathArguments, Token, Type,
};

use crate::attr::{self, CASCADE, Item, Number, Once};
use crate::ctxt::Ctxt;
use crate::fingerprint;

/// A struct that is to be a session.
pub(crate) struct Session<'a> {
    pub(crate) input: &'a DeriveInput,
    /// The companion that holds the slots.
    pub(crate) companion: Ident,
    pub(crate) name: String,
    pub(crate) name_at: Option<LitStr>,
    pub(crate) version: u32,
    pub(crate) version_at: Option<LitInt>,
    pub(crate) previous: Option<(Ident, Path)>,
    pub(crate) removed: Vec<LitStr>,
    pub(crate) fingerprint: u64,
    pub(crate) expected: Option<Number<u64>>,
    pub(crate) tiers: Vec<Tier>,
    pub(crate) fields: Vec<Field<'a>>,
    krate: Option<Path>,
}

/// A field of a session.
pub(crate) struct Field<'a> {
    pub(crate) syn: &'a syn::Field,
    pub(crate) ident: &'a Ident,
    /// Its place in the schema.
    pub(crate) index: usize,
    pub(crate) kind: Kind,
    pub(crate) default: Option<(Ident, Expr)>,
    pub(crate) merge: Option<(Ident, Merge)>,
    pub(crate) privileged: bool,
    pub(crate) secret: bool,
    pub(crate) was: Vec<LitStr>,
    pub(crate) upgrades: Vec<Upgrade>,
    pub(crate) or_default: bool,
    /// What the accessors are called in place of the field's name, and where that was said.
    accessor: Option<Ident>,
    pub(crate) accessor_at: Option<Ident>,
}

/// How a field is reached.
pub(crate) enum Kind {
    Eager,
    Lazy,
    Flash,
}

/// A tier, and where it was named.
pub(crate) struct Tier {
    pub(crate) ident: Ident,
}

/// How two writers of a field are reconciled.
pub(crate) enum Merge {
    LastWrite,
    Reject,
    Add,
    Max,
    Min,
    Union,
    Entries,
    EntriesAdd,
    With(Path),
}

/// `upgrade(version, step)`
pub(crate) struct Upgrade {
    pub(crate) version: u32,
    pub(crate) at: LitInt,
    pub(crate) step: Path,
}

impl<'a> Session<'a> {
    pub(crate) fn from_input(ctxt: &Ctxt, input: &'a DeriveInput) -> Self {
        let mut session = Self {
            input,
            companion: format_ident!("{}Fields", input.ident.unraw(), span = input.ident.span()),
            name: kebab_case(&input.ident.unraw().to_string()),
            name_at: None,
            version: 1,
            version_at: None,
            previous: None,
            removed: Vec::new(),
            fingerprint: 0,
            expected: None,
            tiers: Vec::new(),
            fields: Vec::new(),
            krate: None,
        };
        // In the order of the source, so that mistakes are reported in it.
        session.read_attrs(ctxt);
        session.tiers = tiers(ctxt, input);
        let fields = named_fields(ctxt, input);
        session.fingerprint = fingerprint::of(fields.iter().copied());
        let fields = fields.into_iter().enumerate();
        session.fields = fields
            .filter_map(|(index, field)| Field::from_syn(ctxt, index, field))
            .collect();
        session
    }

    /// The fields in the order in which a record has them: that of their encoded names, shorter ones first (RFC 8949,
    /// section 4.2.1).
    pub(crate) fn stored_fields(&self) -> Vec<&Field<'a>> {
        let mut fields: Vec<_> = self.fields.iter().collect();
        fields.sort_by_cached_key(|field| (field.name().len(), field.name()));
        fields
    }

    fn read_attrs(&mut self, ctxt: &Ctxt) {
        let (mut name, mut version, mut previous) = (Once::default(), Once::default(), Once::default());
        let (mut removed, mut expected, mut krate) = (Once::default(), Once::default(), Once::default());
        for item in &attr::items(ctxt, &self.input.attrs) {
            let word = &item.word;
            match &*word.to_string() {
                "name" => name.set(ctxt, word, item.string(ctxt, "\"shop\"").cloned()),
                "version" => version.set(ctxt, word, item.int::<u32>(ctxt, "2")),
                "previous" => previous.set(ctxt, word, item.path(ctxt, "ShopV1").cloned()),
                "removed" => removed.set(ctxt, word, Some(item.strings(ctxt, "\"old\""))),
                "fingerprint" => expected.set(ctxt, word, item.int(ctxt, "0x0123456789abcdef")),
                "crate" => krate.set(ctxt, word, item.path(ctxt, "path::to::session_runtime").cloned()),
                _ => attr::unknown(ctxt, item, "the struct", attr::ON_STRUCT, "a field", attr::ON_FIELD),
            }
        }
        if let Some(name) = name.into_value() {
            self.name = name.value();
            self.name_at = Some(name);
        }
        if let Some(version) = version.into_value() {
            self.version = version.value;
            self.version_at = Some(version.lit);
        }
        self.previous = previous.into_pair();
        self.removed = removed.into_value().unwrap_or_default();
        self.expected = expected.into_value();
        self.krate = krate.into_value();
    }

    /// The path to the runtime.
    pub(crate) fn krate(&self) -> TokenStream {
        let default = || quote!(::session_runtime);
        self.krate.as_ref().map_or_else(default, ToTokens::to_token_stream)
    }

    /// The same, to stand before what should be underlined together with it.
    pub(crate) fn krate_at(&self, span: Span) -> TokenStream {
        let set_span = |mut token: TokenTree| {
            token.set_span(span);
            token
        };
        self.krate().into_iter().map(set_span).collect()
    }
}

impl<'a> Field<'a> {
    fn from_syn(ctxt: &Ctxt, index: usize, syn: &'a syn::Field) -> Option<Self> {
        let ident = syn.ident.as_ref()?;
        let (mut default, mut merge, mut on_invalid) = (Once::default(), Once::default(), Once::default());
        let (mut privileged, mut secret, mut was) = (Once::default(), Once::default(), Once::default());
        let (mut flash, mut lazy, mut accessor) = (Once::default(), Once::default(), Once::default());
        let mut upgrades = Vec::new();
        for attr in syn.attrs.iter().filter(|attr| attr.path().is_ident(CASCADE)) {
            ctxt.error_at(&attr.meta, "`#[cascade(...)]` belongs on the struct, not on a field");
        }
        for item in &attr::items(ctxt, &syn.attrs) {
            let word = &item.word;
            match &*word.to_string() {
                "default" => default.set(ctxt, word, item.expr(ctxt, "expression").cloned()),
                "merge" => merge.set(ctxt, word, Merge::from_item(ctxt, item)),
                "privileged" => privileged.set(ctxt, word, item.flag(ctxt)),
                "secret" => secret.set(ctxt, word, item.flag(ctxt)),
                "flash" => flash.set(ctxt, word, item.flag(ctxt)),
                "lazy" => lazy.set(ctxt, word, item.flag(ctxt)),
                "was" => was.set(ctxt, word, Some(item.string_or_strings(ctxt, "\"old\""))),
                "upgrade" => upgrades.extend(item.list::<Upgrade>(ctxt, "1, path::to::function")),
                "on_invalid" => on_invalid.set(ctxt, word, on_invalid_default(ctxt, item)),
                "accessor" => accessor.set(ctxt, word, accessor_name(ctxt, item, ident)),
                _ => attr::unknown(ctxt, item, "a field", attr::ON_FIELD, "the struct", attr::ON_STRUCT),
            }
        }
        upgrades.sort_by_key(|upgrade| upgrade.version);
        let kind = match (flash.into_value(), lazy.into_value()) {
            (Some(flash), Some(lazy)) => {
                ctxt.error(flash, "a `flash` field cannot be `lazy` as well");
                ctxt.error(lazy, "a `lazy` field cannot be `flash` as well");
                Kind::Flash
            }
            (Some(_), None) => Kind::Flash,
            (None, Some(_)) => Kind::Lazy,
            (None, None) => Kind::Eager,
        };
        let (accessor_at, accessor) = accessor.into_pair().unzip();
        Some(Self {
            syn,
            ident,
            index,
            kind,
            default: default.into_pair(),
            merge: merge.into_pair(),
            privileged: privileged.into_value().is_some(),
            secret: secret.into_value().is_some(),
            was: was.into_value().unwrap_or_default(),
            upgrades,
            or_default: on_invalid.into_value().is_some(),
            accessor,
            accessor_at,
        })
    }

    /// The name in records.
    pub(crate) fn name(&self) -> String {
        self.ident.unraw().to_string()
    }

    /// The companion's field that holds the slot.
    pub(crate) fn slot(&self) -> Ident {
        format_ident!("__{}", self.ident.unraw(), span = Span::mixed_site())
    }

    /// The static that knows the field's type: numbered, since two names may differ in nothing but their case.
    pub(crate) fn typed(&self) -> Ident {
        format_ident!(
            "__{}_{}",
            self.name().to_uppercase(),
            self.index,
            span = Span::mixed_site()
        )
    }

    /// The accessor that reads; a search for its definition leads to the field.
    pub(crate) fn getter(&self) -> Ident {
        self.accessor.clone().unwrap_or_else(|| self.ident.clone())
    }

    /// All accessors: the one that reads, then `f_mut` and `set_f`, or `push_f` and `take_f`.
    pub(crate) fn accessors(&self) -> [Ident; 3] {
        let derived = |prefix: &str, suffix: &str| {
            format_ident!("{prefix}{}{suffix}", self.getter().unraw(), span = self.ident.span())
        };
        let [second, third] = match self.kind {
            Kind::Flash => [derived("push_", ""), derived("take_", "")],
            Kind::Eager | Kind::Lazy => [derived("", "_mut"), derived("set_", "")],
        };
        [self.getter(), second, third]
    }

    pub(crate) fn is_lazy(&self) -> bool {
        matches!(self.kind, Kind::Lazy)
    }
}

impl Merge {
    const WORDS: &'static str = "`last_write`, `reject`, `add`, `max`, `min`, `union`, `entries`, `entries(add)` or the \
         path of a function `fn(base: &T, theirs: T, ours: T) -> T`";

    fn from_item(ctxt: &Ctxt, item: &Item) -> Option<Self> {
        let expr = item.expr(ctxt, "add")?;
        let merge = match expr {
            Expr::Path(ExprPath { qself: None, path, .. }) => {
                match path.get_ident().map(ToString::to_string).as_deref() {
                    Some("last_write") => Self::LastWrite,
                    Some("reject") => Self::Reject,
                    Some("add") => Self::Add,
                    Some("max") => Self::Max,
                    Some("min") => Self::Min,
                    Some("union") => Self::Union,
                    Some("entries") => Self::Entries,
                    _ => Self::With(path.clone()),
                }
            }
            Expr::Call(call) if is_entries_add(call) => Self::EntriesAdd,
            other => {
                ctxt.error_at(other, format!("unknown strategy; `merge` takes {}", Self::WORDS));
                return None;
            }
        };
        Some(merge)
    }
}

fn is_entries_add(call: &ExprCall) -> bool {
    let is = |expr: &Expr, word: &str| matches!(expr, Expr::Path(path) if path.path.is_ident(word));
    is(&call.func, "entries") && call.args.len() == 1 && call.args.iter().all(|arg| is(arg, "add"))
}

impl Parse for Upgrade {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let at: LitInt = input.parse()?;
        input.parse::<Token![,]>()?;
        let step = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        Ok(Self {
            version: at.base10_parse()?,
            at,
            step,
        })
    }
}

fn on_invalid_default(ctxt: &Ctxt, item: &Item) -> Option<()> {
    let path = item.path(ctxt, "default")?;
    if path.is_ident("default") {
        return Some(());
    }
    ctxt.error_at(
        path,
        "write `on_invalid = default`; without it, a field that does not decode is rejected",
    );
    None
}

fn accessor_name(ctxt: &Ctxt, item: &Item, field: &Ident) -> Option<Ident> {
    let name = item.string(ctxt, "\"name\"")?;
    let Ok(mut ident) = name.parse_with(Ident::parse) else {
        ctxt.error_at(name, "the name of an accessor is an identifier, such as \"cart\"");
        return None;
    };
    ident.set_span(field.span());
    Some(ident)
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
        // Of two fields with one name, which rustc reports, only the first has accessors.
        Fields::Named(named) => {
            let mut seen = HashSet::new();
            named.named.iter().filter(|field| seen.insert(&field.ident)).collect()
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

/// The tiers of all `#[cascade(...)]`.
fn tiers(ctxt: &Ctxt, input: &DeriveInput) -> Vec<Tier> {
    const EXAMPLE: &str = "`#[cascade(memcache, datastore)]`, with any of `request`, `memcache` and `datastore`";
    let mut attrs = input.attrs.iter().filter(|attr| attr.path().is_ident(CASCADE));
    let Some(attr) = attrs.next() else {
        ctxt.error_at(
            &input.ident,
            format!("a session names the tiers it lives in: add {EXAMPLE}"),
        );
        return Vec::new();
    };
    if let Some(second) = attrs.next() {
        attr::twice(ctxt, "cascade", attr, second);
    }
    let Meta::List(list) = &attr.meta else {
        ctxt.error_at(&attr.meta, format!("write {EXAMPLE}"));
        return Vec::new();
    };
    let idents = match list.parse_args_with(Punctuated::<Ident, Token![,]>::parse_terminated) {
        Ok(idents) => idents,
        Err(error) => {
            ctxt.error(error.span(), format!("write {EXAMPLE}"));
            return Vec::new();
        }
    };
    if idents.is_empty() {
        ctxt.error_at(
            &attr.meta,
            format!("a session lives in one tier at least: write {EXAMPLE}"),
        );
    }
    let mut tiers: Vec<Tier> = Vec::new();
    for ident in idents {
        if ident != "request" && ident != "memcache" && ident != "datastore" {
            let message = format!("unknown tier `{ident}`; there are `request`, `memcache` and `datastore`");
            ctxt.error_at(&ident, message);
        } else if let Some(first) = tiers.iter().find(|tier| tier.ident == ident) {
            attr::twice(ctxt, &ident.to_string(), &first.ident, &ident);
        } else {
            tiers.push(Tier { ident });
        }
    }
    tiers
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

/// `T` of `Vec<T>`, as it is written; what stands behind an alias, a derive cannot see.
pub(crate) fn flash_item(ty: &Type) -> Option<&Type> {
    let path = match ty {
        // A type that a macro was given.
        Type::Group(group) => return flash_item(&group.elem),
        Type::Path(path) => path,
        _ => return None,
    };
    let last = path.path.segments.last().filter(|last| last.ident == "Vec")?;
    let PathArguments::AngleBracketed(args) = &last.arguments else {
        return None;
    };
    match args.args.first()? {
        GenericArgument::Type(item) => Some(item),
        _ => None,
    }
}

/// What a field's accessors have in common with it: comments, lints, and that it is on its way out.
pub(crate) fn carried(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    let is_carried = |attr: &&Attribute| {
        ["doc", "allow", "deprecated"]
            .iter()
            .any(|word| attr.path().is_ident(word))
    };
    attrs.iter().filter(is_carried)
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
