//! `#[session(cookie(...))]`: how the session's cookie differs from the layer's.

use syn::{Ident, LitStr};

use crate::attr::{self, Arg, Attr, ON_COOKIE, ON_STRUCT};
use crate::ctxt::Ctxt;

/// The arguments of `cookie(...)`.
#[derive(Default)]
pub(crate) struct Cookie {
    pub(crate) name: Option<LitStr>,
    /// The variant of the runtime's `SameSite`.
    pub(crate) same_site: Option<Ident>,
    pub(crate) path: Option<LitStr>,
    pub(crate) domain: Option<LitStr>,
    pub(crate) http_only: Option<bool>,
    pub(crate) partitioned: bool,
}

impl Cookie {
    pub(super) fn from_arg(ctxt: &Ctxt, cookie: &Arg) -> Option<Self> {
        let (mut name, mut same_site, mut path) = (Attr::default(), Attr::default(), Attr::default());
        let (mut domain, mut http_only, mut partitioned) = (Attr::default(), Attr::default(), Attr::default());
        for arg in &cookie.args(ctxt, "same_site = strict")? {
            let key = &arg.key;
            match &*key.to_string() {
                "name" => name.set(ctxt, key, arg.string(ctxt, "\"shop\"").cloned()),
                "same_site" => same_site.set(ctxt, key, same_site_variant(ctxt, arg)),
                "path" => path.set(ctxt, key, arg.string(ctxt, "\"/shop\"").cloned()),
                "domain" => domain.set(ctxt, key, arg.string(ctxt, "\"example.com\"").cloned()),
                "http_only" => http_only.set(ctxt, key, arg.bool(ctxt, "false")),
                "partitioned" => partitioned.set(ctxt, key, arg.flag(ctxt)),
                _ => attr::report_unknown(ctxt, arg, "`cookie(...)`", ON_COOKIE, "the struct itself", ON_STRUCT),
            }
        }
        Some(Self {
            name: name.into_value(),
            same_site: same_site.into_value(),
            path: path.into_value(),
            domain: domain.into_value(),
            http_only: http_only.into_value(),
            partitioned: partitioned.into_value().is_some(),
        })
    }
}

fn same_site_variant(ctxt: &Ctxt, arg: &Arg) -> Option<Ident> {
    let path = arg.path(ctxt, "strict")?;
    let variants = [("strict", "Strict"), ("lax", "Lax"), ("none", "None")];
    let Some((_, variant)) = variants.iter().find(|(word, _)| path.is_ident(word)) else {
        ctxt.error_at(path, "`same_site` is `strict`, `lax` or `none`");
        return None;
    };
    Some(Ident::new(variant, proc_macro2::Span::mixed_site()))
}
