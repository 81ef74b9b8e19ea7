//! The tiers that `#[cascade(...)]` names.

use syn::punctuated::Punctuated;
use syn::{DeriveInput, Ident, Meta, Token};

use crate::attr::{self, CASCADE};
use crate::ctxt::Ctxt;

/// A tier, and where it was named.
pub(crate) struct Tier {
    pub(crate) ident: Ident,
}

/// The tiers of all `#[cascade(...)]`.
pub(super) fn of(ctxt: &Ctxt, input: &DeriveInput) -> Vec<Tier> {
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
        attr::report_duplicate(ctxt, "cascade", attr, second);
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
            attr::report_duplicate(ctxt, &ident.to_string(), &first.ident, &ident);
        } else {
            tiers.push(Tier { ident });
        }
    }
    tiers
}
