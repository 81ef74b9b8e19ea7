//! The tiers that `#[cascade(...)]` names.

use syn::punctuated::Punctuated;
use syn::{DeriveInput, Ident, Meta, Token};

use crate::attr::{self, CASCADE};
use crate::ctxt::Ctxt;

/// A tier, whichever of its names the struct gives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    Request,
    Memcache,
    Datastore,
}

impl Tier {
    /// Each tier's name and its other name, which says what the tier is for rather than which product serves it.
    /// Nothing else knows the names.
    const NAMES: &[(Self, &str, Option<&str>)] = &[
        (Self::Request, "request", None),
        (Self::Memcache, "memcache", Some("cache")),
        (Self::Datastore, "datastore", Some("durable")),
    ];

    fn from_name(given: &str) -> Option<Self> {
        let mut tiers = Self::NAMES.iter();
        let named = tiers.find(|(_, name, other)| given == *name || Some(given) == *other);
        named.map(|(tier, ..)| *tier)
    }

    /// The names of all tiers, for a message.
    fn all_names() -> String {
        let tiers = Self::NAMES.iter().map(|(_, name, other)| match other {
            Some(other) => format!("`{name}` (or `{other}`)"),
            None => format!("`{name}`"),
        });
        tiers.collect::<Vec<_>>().join(", ")
    }
}

/// The tiers that the struct names, in its order.
pub(super) fn from_attrs(ctxt: &Ctxt, input: &DeriveInput) -> Vec<Tier> {
    let example = || format!("`#[cascade(memcache, datastore)]`; the tiers are {}", Tier::all_names());
    let mut attrs = input.attrs.iter().filter(|attr| attr.path().is_ident(CASCADE));
    let Some(attr) = attrs.next() else {
        let message = format!("a session names the tiers it lives in: add {}", example());
        ctxt.error_at(&input.ident, message);
        return Vec::new();
    };
    if let Some(second) = attrs.next() {
        attr::report_duplicate(ctxt, "cascade", attr, second);
    }
    let Meta::List(list) = &attr.meta else {
        ctxt.error_at(&attr.meta, format!("write {}", example()));
        return Vec::new();
    };
    let idents = match list.parse_args_with(Punctuated::<Ident, Token![,]>::parse_terminated) {
        Ok(idents) => idents,
        Err(error) => {
            ctxt.error(error.span(), format!("write {}", example()));
            return Vec::new();
        }
    };
    if idents.is_empty() {
        let message = format!("a session lives in at least one tier: write {}", example());
        ctxt.error_at(&attr.meta, message);
    }
    let mut named: Vec<(Tier, Ident)> = Vec::new();
    for ident in idents {
        let Some(tier) = Tier::from_name(&ident.to_string()) else {
            let message = format!("unknown tier `{ident}`; the tiers are {}", Tier::all_names());
            ctxt.error_at(&ident, message);
            continue;
        };
        match named.iter().find(|(first, _)| *first == tier) {
            Some((_, first)) => report_repeated(ctxt, first, &ident),
            None => named.push((tier, ident)),
        }
    }
    named.into_iter().map(|(tier, _)| tier).collect()
}

fn report_repeated(ctxt: &Ctxt, first: &Ident, second: &Ident) {
    if first == second {
        attr::report_duplicate(ctxt, &first.to_string(), first, second);
        return;
    }
    ctxt.error_at(first, format!("`{first}` is here first"));
    ctxt.error_at(
        second,
        format!("`{second}` and `{first}` are two names of one tier; keep one of the two"),
    );
}
