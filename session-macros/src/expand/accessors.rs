//! The companion struct: a slot for each field, and the accessors.

use std::collections::HashSet;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Ident, Type, parse_quote};

use super::{docs, forwarded_attrs};
use crate::ast::{self, Field, Kind, Session};

/// `struct ShopFields`.
pub(crate) fn companion(session: &Session<'_>) -> TokenStream {
    let (krate, companion, vis) = (session.krate(), &session.companion, &session.input.vis);
    let (doc, allowed) = (docs::companion(session), forwarded_attrs::allowed_lints(session));
    let slots = session.fields.iter().map(|field| {
        let (slot, ty) = (field.slot(), &field.syn.ty);
        let holder = match field.kind {
            Kind::Lazy => quote!(LazySlot),
            Kind::Eager | Kind::Flash => quote!(Slot),
        };
        quote!(#[doc(hidden)] #slot: #krate::__private::#holder<#ty>)
    });
    quote! {
        #[doc = #doc]
        #allowed
        #vis struct #companion {
            #[doc(hidden)]
            record: #krate::__private::Bytes,
            #(#slots,)*
        }
    }
}

/// `impl ShopFields`.
pub(crate) fn accessors(session: &Session<'_>) -> TokenStream {
    let fields = session.fields.iter();
    let methods = fields.flat_map(|field| methods(session, field, Body::Access));
    let methods = methods.map(|(_, method)| method);
    inherent(session, methods, Some(&snapshot(session, &snapshot_value(session))))
}

/// The accessors of a struct with errors: they have signatures but no bodies, since the companion holds nothing. Of two
/// accessors with one name, only the first is generated.
pub(crate) fn stub(session: &Session<'_>) -> TokenStream {
    let methods = stub_methods(session);
    let snapshot =
        (!session.fields.iter().any(Field::is_unsized)).then(|| snapshot(session, &quote!(::core::unreachable!())));
    inherent(session, methods.into_iter(), snapshot.as_ref())
}

/// Also those of [`detached`](super::detached) in a struct with errors: privileged fields are then no further error.
pub(super) fn stub_methods(session: &Session<'_>) -> Vec<TokenStream> {
    let mut taken = HashSet::from(["snapshot".to_owned()]);
    // An unsized field can be borrowed, but neither set nor copied.
    let methods = session.fields.iter().flat_map(|field| {
        let count = if field.is_unsized() { 2 } else { 3 };
        methods(session, field, Body::Stub).into_iter().take(count)
    });
    let methods = methods.filter(|(name, _)| taken.insert(name.unraw().to_string()));
    methods.map(|(_, method)| method).collect()
}

fn inherent(
    session: &Session<'_>,
    methods: impl Iterator<Item = TokenStream>,
    snapshot: Option<&TokenStream>,
) -> TokenStream {
    let companion = &session.companion;
    let (impl_generics, ty_generics, where_clause) = session.input.generics.split_for_impl();
    quote! {
        #[allow(dead_code)]
        impl #impl_generics #companion #ty_generics #where_clause {
            #(#methods)*
            #snapshot
        }
    }
}

/// What an accessor does.
#[derive(Clone, Copy)]
pub(super) enum Body {
    /// It accesses the slot.
    Access,
    /// It calls the accessor of the fields in a detached session.
    Delegate,
    /// Nothing: the struct has errors, so that there is no slot.
    Stub,
}

/// What a field's accessors have in common.
struct Method<'a> {
    session: &'a Session<'a>,
    field: &'a Field<'a>,
    body: Body,
}

/// How an accessor differs from the others of its field.
struct Accessor {
    name: Ident,
    summary: String,
    /// Whether it returns a `Result`, since it may have to decode.
    is_fallible: bool,
    is_must_use: bool,
    signature: TokenStream,
    /// The arguments after `self`.
    arguments: TokenStream,
    body: TokenStream,
}

impl Method<'_> {
    fn generate(&self, accessor: Accessor) -> (Ident, TokenStream) {
        let Accessor {
            name,
            summary,
            is_fallible,
            is_must_use,
            signature,
            arguments,
            body,
        } = accessor;
        let (vis, forwarded) = (&self.field.syn.vis, forwarded_attrs::for_field(self.field));
        let blank = forwarded_attrs::has_comment(self.field).then(|| quote!(#[doc = ""]));
        let errors = is_fallible.then(|| errors_section(docs::LAZY_ERRORS));
        // Errors about an accessor, such as that it is private, then point at the field, and not at the derive.
        let at = self.field.ident.span().resolved_at(Span::call_site());
        let (keyword, signature) = (quote_spanned!(at=> fn), located(signature, at));
        let must_use = is_must_use.then(|| quote!(#[must_use]));
        let body = match self.body {
            Body::Access => body,
            Body::Delegate => quote!(self.__fields.#name(#arguments)),
            Body::Stub => quote!(::core::unreachable!()),
        };
        let (hidden, bound) = match self.body {
            Body::Delegate if self.field.privileged => (Some(quote!(#[doc(hidden)])), Some(self.unmet_bound())),
            _ => (None, None),
        };
        let text = quote! {
            #[doc = #summary]
            #blank
            #(#forwarded)*
            #errors
            #hidden
            #must_use
            #[inline]
            #vis #keyword #name #signature #bound { #body }
        };
        (name, text)
    }

    /// That a detached session carries a secret, which none does: without the method, rustc would find that of the
    /// fields, and miss a `DerefMut`. With `for<'__a>` the bound is not trivial, and is only checked where the method is
    /// called.
    fn unmet_bound(&self) -> TokenStream {
        let krate = self.session.krate();
        quote!(where for<'__a> Self: #krate::__private::CarriesSecret)
    }
}

/// The tokens with the place of punctuation and brackets changed.
fn located(tokens: TokenStream, at: Span) -> TokenStream {
    let set_span = |mut token: TokenTree| {
        if let TokenTree::Punct(_) | TokenTree::Group(_) = token {
            token.set_span(at);
        }
        token
    };
    tokens.into_iter().map(set_span).collect()
}

fn errors_section(text: &str) -> TokenStream {
    quote! {
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = ""]
        #[doc = #text]
    }
}

/// The accessors of one field, each with its name.
pub(super) fn methods(session: &Session<'_>, field: &Field<'_>, body: Body) -> [(Ident, TokenStream); 3] {
    // Behind a reference, a bare `dyn A + B` needs parentheses; that it has no size is reported elsewhere.
    let ty: &Type = match &field.syn.ty {
        ty @ Type::TraitObject(_) => &parse_quote!((#ty)),
        ty => ty,
    };
    let accessors = match field.kind {
        Kind::Eager | Kind::Lazy => value_accessors(session, field, ty),
        Kind::Flash => flash_accessors(field, ty),
    };
    let method = Method { session, field, body };
    accessors.map(|accessor| method.generate(accessor))
}

/// `f`, `f_mut` and `set_f`.
fn value_accessors(session: &Session<'_>, field: &Field<'_>, ty: &Type) -> [Accessor; 3] {
    let (krate, slot, is_lazy) = (session.krate(), field.slot(), field.is_lazy());
    let ([get, get_mut, set], [get_doc, get_mut_doc, set_doc]) = (field.accessors(), docs::accessors(field));
    let record = is_lazy.then(|| quote!(&self.record));
    let record_and = is_lazy.then(|| quote!(&self.record,));
    let fallible = |ty: TokenStream| {
        if is_lazy {
            quote!(::core::result::Result<#ty, #krate::__private::FieldError>)
        } else {
            ty
        }
    };
    let (shared, unique) = (fallible(quote!(&#ty)), fallible(quote!(&mut #ty)));
    [
        Accessor {
            name: get,
            summary: get_doc,
            is_fallible: is_lazy,
            // A `Result` is `must_use` by itself.
            is_must_use: !is_lazy,
            signature: quote!((&self) -> #shared),
            arguments: quote!(),
            body: quote!(self.#slot.get(#record)),
        },
        Accessor {
            name: get_mut,
            summary: get_mut_doc,
            is_fallible: is_lazy,
            is_must_use: false,
            signature: quote!((&mut self) -> #unique),
            arguments: quote!(),
            body: quote!(self.#slot.get_mut(#record)),
        },
        Accessor {
            name: set,
            summary: set_doc,
            is_fallible: false,
            is_must_use: false,
            signature: quote!((&mut self, __value: #ty)),
            arguments: quote!(__value),
            body: quote!(self.#slot.set(#record_and __value)),
        },
    ]
}

/// `f`, `push_f` and `take_f`.
fn flash_accessors(field: &Field<'_>, ty: &Type) -> [Accessor; 3] {
    let slot = field.slot();
    let ([get, push, take], [get_doc, push_doc, take_doc]) = (field.accessors(), docs::accessors(field));
    // A flash field is not a `Vec` only in a struct with errors.
    let item = ast::flash_item(ty).unwrap_or(ty);
    let accessor = |name, summary, is_must_use| Accessor {
        name,
        summary,
        is_fallible: false,
        is_must_use,
        signature: quote!((&self) -> &#ty),
        arguments: quote!(),
        body: quote!(self.#slot.get()),
    };
    [
        accessor(get, get_doc, true),
        Accessor {
            signature: quote!((&mut self, __value: #item)),
            arguments: quote!(__value),
            body: quote!(self.#slot.push(__value)),
            ..accessor(push, push_doc, false)
        },
        Accessor {
            signature: quote!((&mut self) -> #ty),
            body: quote!(self.#slot.take()),
            ..accessor(take, take_doc, false)
        },
    ]
}

/// The struct, with a copy of each field.
fn snapshot_value(session: &Session<'_>) -> TokenStream {
    let (krate, ident) = (session.krate(), &session.input.ident);
    let values = session.fields.iter().map(|field| {
        let (ident, slot, try_lazy) = (field.ident, field.slot(), field.is_lazy().then(|| quote!(?)));
        quote!(#ident: (&self.#slot.copier(&self.record) #try_lazy).copy())
    });
    let mut value = quote!(#ident { #(#values,)* });
    if has_lazy(session) {
        value = quote!(::core::result::Result::Ok(#value));
    }
    let scope = (!session.fields.is_empty()).then(|| quote!(use #krate::__private::copy_traits::*;));
    quote!(#scope #value)
}

fn has_lazy(session: &Session<'_>) -> bool {
    session.fields.iter().any(Field::is_lazy)
}

fn snapshot(session: &Session<'_>, value: &TokenStream) -> TokenStream {
    let (krate, ident, vis) = (session.krate(), &session.input.ident, &session.input.vis);
    let (_, ty_generics, _) = session.input.generics.split_for_impl();
    let doc = docs::snapshot(session);
    let (output, attrs) = if has_lazy(session) {
        (
            quote!(::core::result::Result<#ident #ty_generics, #krate::__private::FieldError>),
            errors_section(docs::SNAPSHOT_ERRORS),
        )
    } else {
        (quote!(#ident #ty_generics), quote!(#[must_use]))
    };
    quote! {
        #[doc = #doc]
        #attrs
        #vis fn snapshot(&self) -> #output { #value }
    }
}

/// `impl Debug for ShopFields`.
pub(crate) fn debug(session: &Session<'_>) -> TokenStream {
    let (krate, companion) = (session.krate(), &session.companion);
    let name = companion.to_string();
    let fields = session.fields.iter().map(|field| {
        let (name, slot) = (field.name(), field.slot());
        let value = match field.kind {
            _ if field.secret => quote!(&#krate::__private::Redacted("[secret]")),
            Kind::Lazy => quote!(&self.#slot),
            Kind::Eager | Kind::Flash => quote!((&#krate::__private::DebugProbe(self.#slot.get())).debug_value()),
        };
        quote!(__debug.field(#name, #value);)
    });
    let shows = |field: &Field<'_>| !field.secret && !field.is_lazy();
    let scope = session
        .fields
        .iter()
        .any(shows)
        .then(|| quote!(use #krate::__private::debug_traits::*;));
    quote! {
        #[automatically_derived]
        impl ::core::fmt::Debug for #companion {
            fn fmt(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                #scope
                let mut __debug = __f.debug_struct(#name);
                #(#fields)*
                __debug.finish()
            }
        }
    }
}
