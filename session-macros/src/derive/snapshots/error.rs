#[cascade(memcached)]
struct Shop {
    visits: u64,
}

// Generated:

::core::compile_error! { "unknown tier `memcached`; the tiers are `request`, `memcache` (or `cache`), `datastore` (or `durable`)" }
#[doc = "The fields of a [`Shop`] session, with their accessors.\n\nReached through `TypedSession<Shop>`, which dereferences to this struct."]
#[allow(deprecated)]
struct ShopFields(::core::marker::PhantomData<fn() -> Shop>);
#[doc = "The fields of a [`Shop`] session that outlives its request.\n\nReached through `Detached<Shop>`, which dereferences to this struct. Fields are read as in [`ShopFields`]. Privileged fields are read-only here: there is no response to carry the new secret."]
#[allow(deprecated)]
struct ShopDetached(::core::marker::PhantomData<fn() -> Shop>);
#[allow(unused, deprecated, clippy::all, clippy::pedantic)]
const _: () = {
    #[allow(dead_code)]
    impl ShopFields {
        #[doc = "The field `visits`."]
        #[must_use]
        #[inline]
        fn visits(&self) -> &u64 {
            ::core::unreachable!()
        }
        #[doc = "Borrows `visits` mutably, to change it in place."]
        #[inline]
        fn visits_mut(&mut self) -> &mut u64 {
            ::core::unreachable!()
        }
        #[doc = "Sets `visits`."]
        #[inline]
        fn set_visits(&mut self, __value: u64) {
            ::core::unreachable!()
        }
        #[doc = "Copies all fields, as they are now, into a `Shop`."]
        #[must_use]
        fn snapshot(&self) -> Shop {
            ::core::unreachable!()
        }
    }
    #[allow(dead_code)]
    impl ShopDetached {
        #[doc = "The field `visits`."]
        #[must_use]
        #[inline]
        fn visits(&self) -> &u64 {
            ::core::unreachable!()
        }
        #[doc = "Borrows `visits` mutably, to change it in place."]
        #[inline]
        fn visits_mut(&mut self) -> &mut u64 {
            ::core::unreachable!()
        }
        #[doc = "Sets `visits`."]
        #[inline]
        fn set_visits(&mut self, __value: u64) {
            ::core::unreachable!()
        }
    }
    impl ::core::ops::Deref for ShopDetached {
        type Target = ShopFields;
        fn deref(&self) -> &Self::Target {
            ::core::unreachable!()
        }
    }
    impl ::core::fmt::Debug for ShopDetached {
        fn fmt(&self, _: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            ::core::unreachable!()
        }
    }
    impl Shop {
        const TIERS: ::session_runtime::__private::Tiers = ::session_runtime::__private::Tiers::empty();
    }
    impl ::core::fmt::Debug for ShopFields {
        fn fmt(&self, _: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            ::core::unreachable!()
        }
    }
    impl ::session_runtime::__private::Session for Shop
    where
        for<'__a> Self: ::core::marker::Sized + ::core::marker::Send + ::core::marker::Sync + 'static,
    {
        const TIERS: ::session_runtime::__private::Tiers = ::session_runtime::__private::Tiers::empty();
        const SCHEMA: &'static ::session_runtime::__private::Schema = &::session_runtime::__private::Schema::STUB;
        type Fields = ShopFields;
        type Detached = ShopDetached;
        fn with_defaults() -> ShopFields {
            ::core::unreachable!()
        }
        fn decode_fields(
            _: &::session_runtime::__private::Record,
        ) -> ::core::result::Result<ShopFields, ::session_runtime::__private::OpenError> {
            ::core::unreachable!()
        }
        fn from_value(_: Self) -> ::core::result::Result<ShopFields, ::session_runtime::__private::FieldError> {
            ::core::unreachable!()
        }
        fn into_value(_: ShopFields) -> ::core::result::Result<Self, ::session_runtime::__private::FieldError> {
            ::core::unreachable!()
        }
        fn into_detached(_: ShopFields) -> ShopDetached {
            ::core::unreachable!()
        }
        fn detached_fields<'__a>(_: &'__a mut ShopDetached) -> &'__a mut ShopFields {
            ::core::unreachable!()
        }
        fn record<'__a>(_: &'__a ShopFields) -> &'__a [u8] {
            ::core::unreachable!()
        }
        fn slot<'__a>(
            _: &'__a ShopFields,
            _: usize,
        ) -> ::core::option::Option<&'__a dyn ::session_runtime::__private::AnySlot> {
            ::core::unreachable!()
        }
    }
    impl<__S> ::session_runtime::__private::ServedBy<__S> for Shop where
        for<'__a> Self: ::core::marker::Sized + ::core::marker::Send + ::core::marker::Sync + 'static
    {
    }
};
