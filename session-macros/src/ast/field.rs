//! A field of a session, with the arguments of its `#[session(...)]`.

use proc_macro2::Span;
use quote::format_ident;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Expr, ExprCall, ExprPath, GenericArgument, Ident, LitInt, LitStr, Path, PathArguments, Token, Type};

use crate::attr::{self, Arg, Attr, CASCADE};
use crate::ctxt::Ctxt;

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
    /// The key of `owner`: the field names whose session it is.
    pub(crate) owner: Option<Ident>,
    pub(crate) secret: bool,
    pub(crate) was: Vec<LitStr>,
    pub(crate) upgrades: Vec<Upgrade>,
    pub(crate) or_default: bool,
    /// The name of the accessors, if it is not the field's; its span is the field's.
    accessor: Option<Ident>,
    pub(crate) accessor_key: Option<Ident>,
}

/// How a field is read.
pub(crate) enum Kind {
    Eager,
    Lazy,
    Flash,
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

/// Strategies, and the words that people try for them.
const SYNONYMS: &[(&str, &[&str])] = &[
    (
        "last_write",
        &["last", "latest", "lww", "newest", "ours", "overwrite", "replace"],
    ),
    ("reject", &["conflict", "deny", "error", "fail", "refuse"]),
    ("add", &["count", "counter", "delta", "increment", "plus", "sum"]),
    ("max", &["greatest", "highest", "largest", "max_by", "maximum"]),
    ("min", &["least", "lowest", "min_by", "minimum", "smallest"]),
    ("union", &["append", "concat", "extend", "join", "list", "push"]),
    ("entries", &["by_key", "dict", "entry", "hash_map", "keys", "map"]),
];

/// `upgrade(version, step)`
pub(crate) struct Upgrade {
    pub(crate) version: u32,
    pub(crate) version_lit: LitInt,
    pub(crate) step: Path,
}

impl<'a> Field<'a> {
    pub(super) fn from_syn(ctxt: &Ctxt, index: usize, syn: &'a syn::Field) -> Option<Self> {
        let ident = syn.ident.as_ref()?;
        let (mut default, mut merge, mut on_invalid) = (Attr::default(), Attr::default(), Attr::default());
        let (mut privileged, mut secret, mut was) = (Attr::default(), Attr::default(), Attr::default());
        let mut owner = Attr::default();
        let (mut flash, mut lazy, mut accessor) = (Attr::default(), Attr::default(), Attr::default());
        let mut upgrades = Vec::new();
        for attr in syn.attrs.iter().filter(|attr| attr.path().is_ident(CASCADE)) {
            ctxt.error_at(&attr.meta, "`#[cascade(...)]` belongs on the struct, not on a field");
        }
        let instead = "rename a field with `#[session(was = \"old\")]`, give it a default with \
                       `#[session(default = ...)]`, and put any other on a type of the field's own";
        attr::report_serde(ctxt, &syn.attrs, instead);
        for arg in &attr::args(ctxt, &syn.attrs) {
            let key = &arg.key;
            match &*key.to_string() {
                "default" => default.set(ctxt, key, arg.expr(ctxt, "expression").cloned()),
                "merge" => merge.set(ctxt, key, Merge::from_arg(ctxt, arg)),
                "privileged" => privileged.set(ctxt, key, arg.flag(ctxt)),
                "owner" => owner.set(ctxt, key, arg.flag(ctxt)),
                "secret" => secret.set(ctxt, key, arg.flag(ctxt)),
                "flash" => flash.set(ctxt, key, arg.flag(ctxt)),
                "lazy" => lazy.set(ctxt, key, arg.flag(ctxt)),
                "was" => was.set(ctxt, key, Some(arg.string_or_strings(ctxt, "\"old\""))),
                "upgrade" => upgrades.extend(arg.list::<Upgrade>(ctxt, "1, path::to::function")),
                "on_invalid" => on_invalid.set(ctxt, key, on_invalid_default(ctxt, arg)),
                "accessor" => accessor.set(ctxt, key, accessor_name(ctxt, arg, ident)),
                _ => attr::report_unknown(ctxt, arg, "a field", attr::ON_FIELD, "the struct", attr::ON_STRUCT),
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
        let (accessor_key, accessor) = accessor.into_pair().unzip();
        let owner = owner.into_pair().map(|(key, _)| key);
        Some(Self {
            syn,
            ident,
            index,
            kind,
            default: default.into_pair(),
            merge: merge.into_pair(),
            privileged: privileged.into_value().is_some() || owner.is_some(),
            owner,
            secret: secret.into_value().is_some(),
            was: was.into_value().unwrap_or_default(),
            upgrades,
            or_default: on_invalid.into_value().is_some(),
            accessor,
            accessor_key,
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

    /// The static that knows the field's type. It is numbered, since two names may differ only in case.
    pub(crate) fn static_ident(&self) -> Ident {
        format_ident!(
            "__{}_{}",
            self.name().to_uppercase(),
            self.index,
            span = Span::mixed_site()
        )
    }

    /// The accessor that reads. Its span is the field's, so that "go to definition" leads to the field.
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

    /// Whether the type is written as one that has no size.
    pub(crate) fn is_unsized(&self) -> bool {
        match &self.syn.ty {
            Type::Path(path) => path.path.is_ident("str"),
            Type::Slice(_) | Type::TraitObject(_) => true,
            _ => false,
        }
    }

    pub(crate) fn is_lazy(&self) -> bool {
        matches!(self.kind, Kind::Lazy)
    }
}

impl Merge {
    const NAMES: &'static str = "`last_write`, `reject`, `add`, `max`, `min`, `union`, `entries`, `entries(add)` or \
         the path of a function `fn(base: &T, theirs: T, ours: T) -> T`";

    fn from_arg(ctxt: &Ctxt, arg: &Arg) -> Option<Self> {
        let expr = arg.expr(ctxt, "add")?;
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
                    Some(word) if let Some(meant) = strategy_meant_by(word) => {
                        ctxt.error_at(
                            path,
                            format!(
                                "unknown strategy `{word}`; did you mean `{meant}`? `merge` takes {}; for a function of \
                                 this name, write `self::{word}`",
                                Self::NAMES
                            ),
                        );
                        return None;
                    }
                    _ => Self::With(path.clone()),
                }
            }
            Expr::Call(call) if is_entries_add(call) => Self::EntriesAdd,
            other => {
                ctxt.error_at(other, format!("unknown strategy; `merge` takes {}", Self::NAMES));
                return None;
            }
        };
        Some(merge)
    }
}

/// The strategy that a word is a synonym or a misspelling of. Any other word is the name of a function.
fn strategy_meant_by(word: &str) -> Option<&'static str> {
    let is_synonym = |(strategy, words): &&(&str, &[&str])| {
        words.contains(&word) || distance(word, strategy) <= if strategy.len() > 3 { 2 } else { 1 }
    };
    SYNONYMS.iter().find(is_synonym).map(|(strategy, _)| *strategy)
}

/// How many characters have to be inserted, deleted or replaced to make one word of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (line, from) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (at, to) in other.chars().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

fn is_entries_add(call: &ExprCall) -> bool {
    let is = |expr: &Expr, key: &str| matches!(expr, Expr::Path(path) if path.path.is_ident(key));
    is(&call.func, "entries") && call.args.len() == 1 && call.args.iter().all(|arg| is(arg, "add"))
}

impl Parse for Upgrade {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let version_lit: LitInt = input.parse()?;
        input.parse::<Token![,]>()?;
        let step = input.parse()?;
        input.parse::<Option<Token![,]>>()?;
        Ok(Self {
            version: version_lit.base10_parse()?,
            version_lit,
            step,
        })
    }
}

fn on_invalid_default(ctxt: &Ctxt, arg: &Arg) -> Option<()> {
    let path = arg.path(ctxt, "default")?;
    if path.is_ident("default") {
        return Some(());
    }
    ctxt.error_at(
        path,
        "write `on_invalid = default`; without it, a field that does not decode is rejected",
    );
    None
}

fn accessor_name(ctxt: &Ctxt, arg: &Arg, field: &Ident) -> Option<Ident> {
    let name = arg.string(ctxt, "\"name\"")?;
    let Ok(mut ident) = name.parse_with(Ident::parse) else {
        ctxt.error_at(name, "the name of an accessor is an identifier, such as \"cart\"");
        return None;
    };
    ident.set_span(field.span());
    Some(ident)
}

/// The `T` of a type that is written as `Vec<T>`; a derive cannot see through an alias.
pub(crate) fn flash_item(ty: &Type) -> Option<&Type> {
    let path = match ty {
        // A type that a `macro_rules!` captured.
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

#[cfg(test)]
mod tests {
    use super::{SYNONYMS, distance, strategy_meant_by};

    #[test]
    fn a_synonym_or_a_misspelling_means_a_strategy() {
        for (word, meant) in [
            ("append", "union"),
            ("sum", "add"),
            ("unoin", "union"),
            ("maxx", "max"),
            ("entry", "entries"),
            ("lastwrite", "last_write"),
        ] {
            assert_eq!(strategy_meant_by(word), Some(meant), "{word}");
        }
        for function in ["merge_lines", "larger", "keep_both", "combine", "f"] {
            assert_eq!(strategy_meant_by(function), None, "{function}");
        }
        for (strategy, _) in SYNONYMS {
            assert_eq!(strategy_meant_by(strategy), Some(*strategy));
        }
    }

    #[test]
    fn the_distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(
            (distance("", "add"), distance("add", ""), distance("add", "add")),
            (3, 3, 0)
        );
    }
}
