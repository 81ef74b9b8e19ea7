//! The companion struct: a slot for each field, and the methods that reach into it.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, Type};

use crate::ast::{self, Field, Kind, Session};

/// `struct ShopFields`.
pub(crate) fn companion(session: &Session<'_>) -> TokenStream {
    let (krate, companion, vis) = (session.krate(), &session.companion, &session.input.vis);
    let doc = format!(
        "The fields of a [`{}`] session, each with its accessors.",
        session.input.ident.unraw()
    );
    let slots = session.fields.iter().map(|field| {
        let (slot, ty) = (field.slot(), &field.syn.ty);
        let holder = match field.kind {
            Kind::Lazy(_) => quote!(LazySlot),
            Kind::Eager | Kind::Flash(_) => quote!(Slot),
        };
        quote!(#slot: #krate::__private::#holder<#ty>)
    });
    quote! {
        #[doc = #doc]
        #vis struct #companion {
            #(#slots,)*
        }
    }
}

/// `impl ShopFields`.
pub(crate) fn accessors(session: &Session<'_>) -> TokenStream {
    let companion = &session.companion;
    let fields = session.fields.iter().map(|field| methods(session, field));
    let snapshot = snapshot(session);
    quote! {
        #[allow(dead_code)]
        impl #companion {
            #(#fields)*
            #snapshot
        }
    }
}

/// What a field's accessors say about themselves, and who may call them.
struct Method<'a> {
    field: &'a Field<'a>,
    carried: Vec<&'a Attribute>,
    errors: Option<TokenStream>,
}

impl Method<'_> {
    /// An accessor with the field's comment below `summary`.
    fn write(&self, summary: &str, attrs: &TokenStream, signature: &TokenStream, body: &TokenStream) -> TokenStream {
        let (vis, carried, errors) = (&self.field.syn.vis, &self.carried, &self.errors);
        quote! {
            #[doc = #summary]
            #[doc = ""]
            #(#carried)*
            #errors
            #[inline]
            #attrs
            #vis fn #signature { #body }
        }
    }
}

fn methods(session: &Session<'_>, field: &Field<'_>) -> TokenStream {
    let krate = session.krate();
    let (slot, ty, name) = (field.slot(), &field.syn.ty, field.name());
    let carried = ast::docs(&field.syn.attrs)
        .chain(field.syn.attrs.iter().filter(|attr| attr.path().is_ident("deprecated")))
        .collect();
    let errors = field.is_lazy().then(|| {
        quote! {
            #[doc = "# Errors"]
            #[doc = "The stored bytes do not decode; they are left as they are."]
        }
    });
    let method = Method { field, carried, errors };
    let (get, none) = (field.getter(), quote!());
    let must_use = quote!(#[must_use]);
    let reads = format!("Reads `{name}`.");
    match &field.kind {
        Kind::Eager => {
            let (get_mut, set) = (field.accessor("", "_mut"), field.accessor("set_", ""));
            let read = method.write(
                &reads,
                &must_use,
                &quote!(#get(&self) -> &#ty),
                &quote!(self.#slot.get()),
            );
            let change = method.write(
                &format!("Changes `{name}`; leaving it as it was costs no write."),
                &must_use,
                &quote!(#get_mut(&mut self) -> &mut #ty),
                &quote!(self.#slot.get_mut()),
            );
            let replace = method.write(
                &format!("Replaces `{name}`."),
                &none,
                &quote!(#set(&mut self, value: #ty)),
                &quote!(self.#slot.set(value)),
            );
            quote!(#read #change #replace)
        }
        Kind::Lazy(_) => {
            let (get_mut, set) = (field.accessor("", "_mut"), field.accessor("set_", ""));
            let error = quote!(#krate::__private::FieldError);
            let read = method.write(
                &reads,
                &none,
                &quote!(#get(&self) -> ::core::result::Result<&#ty, #error>),
                &quote!(self.#slot.get()),
            );
            let change = method.write(
                &format!("Changes `{name}`; leaving it as it was costs no write."),
                &none,
                &quote!(#get_mut(&mut self) -> ::core::result::Result<&mut #ty, #error>),
                &quote!(self.#slot.get_mut()),
            );
            let replace = method.write(
                &format!("Replaces `{name}`."),
                &none,
                &quote!(#set(&mut self, value: #ty) -> ::core::result::Result<(), #error>),
                &quote!(self.#slot.set(value)),
            );
            quote!(#read #change #replace)
        }
        Kind::Flash(_) => {
            let (push, take) = (field.accessor("push_", ""), field.accessor("take_", ""));
            let item = flash_item(&krate, ty);
            let read = method.write(
                &format!("Looks at `{name}` without taking them."),
                &must_use,
                &quote!(#get(&self) -> &#ty),
                &quote!(self.#slot.get()),
            );
            let add = method.write(
                &format!("Adds one to `{name}`, to be read once."),
                &none,
                &quote!(#push(&mut self, value: #item)),
                &quote!(self.#slot.push(value)),
            );
            let empty = method.write(
                &format!("Takes all of `{name}`."),
                &none,
                &quote!(#take(&mut self) -> #ty),
                &quote!(self.#slot.take()),
            );
            quote!(#read #add #empty)
        }
    }
}

/// `T` of `Vec<T>`, as it was written; behind an alias, only the trait knows.
fn flash_item(krate: &TokenStream, ty: &Type) -> TokenStream {
    if let Type::Path(path) = ty
        && let Some(last) = path.path.segments.last()
        && last.ident == "Vec"
        && let syn::PathArguments::AngleBracketed(args) = &last.arguments
        && let Some(syn::GenericArgument::Type(item)) = args.args.first()
    {
        return quote!(#item);
    }
    quote!(<#ty as #krate::__private::FieldFlash>::Item)
}

fn snapshot(session: &Session<'_>) -> TokenStream {
    let (krate, ident, vis) = (session.krate(), &session.input.ident, &session.input.vis);
    let lazy = session.fields.iter().any(Field::is_lazy);
    let values = session.fields.iter().map(|field| {
        let (ident, slot, try_lazy) = (field.ident, field.slot(), field.is_lazy().then(|| quote!(?)));
        quote!(#ident: (&self.#slot.copier() #try_lazy).copy())
    });
    let value = quote!(#ident { #(#values,)* });
    let (output, value, must_use) = if lazy {
        let output = quote!(::core::result::Result<#ident, #krate::__private::FieldError>);
        let errors = quote! {
            #[doc = ""]
            #[doc = "# Errors"]
            #[doc = "A lazy field does not decode."]
        };
        (output, quote!(::core::result::Result::Ok(#value)), errors)
    } else {
        (quote!(#ident), value, quote!(#[must_use]))
    };
    quote! {
        #[doc = "A copy of all fields as they are now, for a template."]
        #must_use
        #vis fn snapshot(&self) -> #output {
            #[allow(unused_imports)]
            use #krate::__private::{ViaClone as _, ViaCodec as _};
            #value
        }
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
            Kind::Lazy(_) => quote!(&self.#slot),
            Kind::Eager | Kind::Flash(_) => quote!((&#krate::__private::Shown(self.#slot.get())).shown()),
        };
        quote!(__debug.field(#name, #value);)
    });
    quote! {
        #[automatically_derived]
        impl ::core::fmt::Debug for #companion {
            fn fmt(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                #[allow(unused_imports)]
                use #krate::__private::{ShownAny as _, ShownDebug as _};
                let mut __debug = __f.debug_struct(#name);
                #(#fields)*
                __debug.finish()
            }
        }
    }
}
