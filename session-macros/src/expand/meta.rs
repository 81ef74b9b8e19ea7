//! The schema, the tiers, and the stores that can serve the session.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

use crate::ast::{Field, Kind, Merge, Session, Tier};

/// The schema, `Shop::TIERS`, and `impl ServedBy for Shop`.
pub(crate) fn meta(session: &Session<'_>) -> TokenStream {
    let schema = schema(session);
    let tiers = inherent_tiers(session);
    let served_by = served_by(session);
    let owned = owned(session);
    quote!(#schema #tiers #served_by #owned)
}

fn schema(session: &Session<'_>) -> TokenStream {
    let krate = session.krate();
    let (name, version, fingerprint) = (&session.name, session.version, session.fingerprint);
    let (ident, removed) = (&session.input.ident, &session.removed);
    let [idle, max_age] = [&session.idle, &session.max_age].map(|time| {
        let seconds = time.as_ref().map(|time| time.seconds);
        optional(seconds.map(|seconds| quote!(::core::time::Duration::from_secs(#seconds))))
    });
    let cookie = cookie(session);
    let owner = optional(session.owner().map(Field::name));
    let fields = session.stored_fields();
    let specs = fields.iter().map(|field| spec(session, field));
    let (previous, previous_static) = match &session.previous {
        None => (quote!(::core::option::Option::None), None),
        Some((_, path)) => {
            let (span, krate_spanned) = (path.span(), session.krate_spanned(path.span()));
            let of = quote_spanned!(span=> #krate_spanned::__private::Previous::<#ident>::of::<#path>(#version));
            (
                quote!(::core::option::Option::Some(__PREVIOUS.schema())),
                Some(quote!(static __PREVIOUS: #krate::__private::Previous<#ident> = #of;)),
            )
        }
    };
    quote! {
        static __SCHEMA: #krate::__private::Schema = #krate::__private::Schema {
            name: #name,
            version: #version,
            fingerprint: #fingerprint,
            tiers: #ident::TIERS,
            fields: &[#(#specs,)*],
            owner: #owner,
            removed: &[#(#removed,)*],
            previous: #previous,
            idle: #idle,
            max_age: #max_age,
            cookie: #cookie,
        };
        #previous_static
    }
}

/// `impl OwnedSession for Shop`, where a field names its owner.
fn owned(session: &Session<'_>) -> Option<TokenStream> {
    let (krate, ident, ty) = (session.krate(), &session.input.ident, &session.owner()?.syn.ty);
    let id = quote_spanned!(ty.span()=> <#ty as #krate::__private::OwnerField>::Id);
    let send_sync = send_sync_bounds(session);
    Some(quote! {
        #[automatically_derived]
        impl #krate::__private::OwnedSession for #ident where #send_sync {
            type OwnerId = #id;
        }
    })
}

fn cookie(session: &Session<'_>) -> TokenStream {
    let krate = session.krate();
    let Some(cookie) = &session.cookie else {
        return quote!(#krate::__private::CookieSpec::DEFAULT);
    };
    let [name, path, domain] = [&cookie.name, &cookie.path, &cookie.domain].map(optional);
    let variant = |variant| quote!(#krate::__private::SameSite::#variant);
    let same_site = optional(cookie.same_site.as_ref().map(variant));
    let http_only = optional(cookie.http_only);
    let partitioned = optional(cookie.partitioned.then_some(true));
    quote! {
        #krate::__private::CookieSpec {
            name: #name,
            same_site: #same_site,
            path: #path,
            domain: #domain,
            http_only: #http_only,
            partitioned: #partitioned,
        }
    }
}

/// `Some(value)` or `None`.
fn optional(value: impl IntoIterator<Item: ToTokens>) -> TokenStream {
    let value = value.into_iter().next();
    value.map_or_else(
        || quote!(::core::option::Option::None),
        |value| quote!(::core::option::Option::Some(#value)),
    )
}

fn spec(session: &Session<'_>, field: &Field<'_>) -> TokenStream {
    let krate = session.krate();
    let (name, static_ident, was) = (field.name(), field.static_ident(), &field.was);
    let (privileged, secret, or_default) = (field.privileged, field.secret, field.or_default);
    let merge = merge(session, field);
    quote! {
        #krate::__private::FieldSpec {
            name: #name,
            was: &[#(#was,)*],
            default: |__out| #static_ident.append_default(__out),
            merge: #merge,
            privileged: #privileged,
            secret: #secret,
            default_on_invalid: #or_default,
        }
    }
}

fn merge(session: &Session<'_>, field: &Field<'_>) -> TokenStream {
    let krate = session.krate();
    let ty = &field.syn.ty;
    if let Kind::Flash = field.kind {
        // Keeps what each writer added, without what either took.
        return quote_spanned!(ty.span()=> #krate::__private::merge::union::<#ty>);
    }
    let Some((_, merge)) = &field.merge else {
        return quote!(#krate::__private::merge::last_write);
    };
    let name = match merge {
        Merge::LastWrite => return quote!(#krate::__private::merge::last_write),
        Merge::Reject => return quote!(#krate::__private::merge::reject),
        Merge::With(path) => {
            return quote_spanned!(path.span()=> |__three| #krate::__private::merge::with::<#ty>(__three, #path));
        }
        Merge::Add => quote!(add),
        Merge::Max => quote!(max),
        Merge::Min => quote!(min),
        Merge::Union => quote!(union),
        Merge::Entries => quote!(entries),
        Merge::EntriesAdd => quote!(entries_add),
    };
    quote_spanned!(ty.span()=> #krate::__private::merge::#name::<#ty>)
}

/// The bits of `#[cascade(...)]`.
fn tiers(session: &Session<'_>) -> TokenStream {
    let krate = session.krate();
    let mut bits = session.tiers.iter().map(|tier| {
        let bit = match tier {
            Tier::Request => quote!(REQUEST),
            Tier::Memcache => quote!(MEMCACHE),
            Tier::Datastore => quote!(DATASTORE),
        };
        quote!(#krate::__private::Tiers::#bit)
    });
    let first = bits.next().unwrap_or_else(|| quote!(#krate::__private::Tiers::empty()));
    quote!(#first #(.union(#bits))*)
}

/// Inherent, so that `Shop::TIERS` needs no trait in scope.
fn inherent_tiers(session: &Session<'_>) -> TokenStream {
    let (krate, ident, vis) = (session.krate(), &session.input.ident, &session.input.vis);
    let tiers = tiers(session);
    quote! {
        impl #ident {
            #[doc = "The tiers named in `#[cascade(...)]`."]
            #vis const TIERS: #krate::__private::Tiers = #tiers;
        }
    }
}

fn served_by(session: &Session<'_>) -> TokenStream {
    let (krate, ident) = (session.krate(), &session.input.ident);
    let bounds: Vec<_> = session
        .tiers
        .iter()
        .filter_map(|tier| match tier {
            // Every store has it.
            Tier::Request => None,
            Tier::Memcache => Some(quote!(#krate::__private::HasMemcache<#ident>)),
            Tier::Datastore => Some(quote!(#krate::__private::HasDatastore<#ident>)),
        })
        .collect();
    let send_sync = send_sync_bounds(session);
    let bounds = (!bounds.is_empty()).then(|| quote!(__S: #(#bounds)+*));
    quote! {
        #[doc(hidden)]
        #[automatically_derived]
        impl<__S> #krate::__private::ServedBy<__S> for #ident where #send_sync #bounds {}
    }
}

/// That threads can share the fields. As a `where` clause it does not repeat the error about a field's type; with
/// `for<'__a>` it is not trivial, since a trivial bound that does not hold is an error by itself.
pub(super) fn send_sync_bounds(session: &Session<'_>) -> TokenStream {
    let companion = &session.companion;
    quote!(for<'__a> #companion: ::core::marker::Send + ::core::marker::Sync,)
}
