#[cascade(memcache, datastore)]
pub struct Shop {
    /// What is in the cart.
    pub lines: Vec<Line>,
}

// Generated:

#[doc = "The fields of a [`Shop`] session, with their accessors.\n\nReached through `TypedSession<Shop>`, which dereferences to this struct."]
pub struct ShopFields {
    #[doc(hidden)]
    record: ::session_runtime::__private::Bytes,
    #[doc(hidden)]
    __lines: ::session_runtime::__private::Slot<Vec<Line>>,
}
#[doc = "The fields of a [`Shop`] session that outlives its request.\n\nReached through `Detached<Shop>`, which dereferences to this struct. Fields are read as in [`ShopFields`]. Privileged fields are read-only here: there is no response to carry the new secret."]
pub struct ShopDetached {
    #[doc(hidden)]
    __fields: ShopFields,
}
const _: () = {
    #[allow(dead_code)]
    impl ShopFields {
        #[doc = "The field `lines`."]
        #[doc = ""]
        #[doc = " What is in the cart."]
        #[must_use]
        #[inline]
        pub fn lines(&self) -> &Vec<Line> {
            self.__lines.get()
        }
        #[doc = "Borrows `lines` mutably, to change it in place."]
        #[doc = ""]
        #[doc = " What is in the cart."]
        #[inline]
        pub fn lines_mut(&mut self) -> &mut Vec<Line> {
            self.__lines.get_mut()
        }
        #[doc = "Sets `lines`."]
        #[doc = ""]
        #[doc = " What is in the cart."]
        #[inline]
        pub fn set_lines(&mut self, __value: Vec<Line>) {
            self.__lines.set(__value)
        }
        #[doc = "Copies all fields, as they are now, into a `Shop`."]
        #[must_use]
        pub fn snapshot(&self) -> Shop {
            use ::session_runtime::__private::copy_traits::*;
            Shop {
                lines: (&self.__lines.copier(&self.record)).copy(),
            }
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Debug for ShopFields {
        fn fmt(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            use ::session_runtime::__private::debug_traits::*;
            let mut __debug = __f.debug_struct("ShopFields");
            __debug.field(
                "lines",
                (&::session_runtime::__private::DebugProbe(self.__lines.get())).debug_value(),
            );
            __debug.finish()
        }
    }
    #[allow(dead_code)]
    impl ShopDetached {
        #[doc = "Borrows `lines` mutably, to change it in place."]
        #[doc = ""]
        #[doc = " What is in the cart."]
        #[inline]
        pub fn lines_mut(&mut self) -> &mut Vec<Line> {
            self.__fields.lines_mut()
        }
        #[doc = "Sets `lines`."]
        #[doc = ""]
        #[doc = " What is in the cart."]
        #[inline]
        pub fn set_lines(&mut self, __value: Vec<Line>) {
            self.__fields.set_lines(__value)
        }
    }
    #[automatically_derived]
    impl ::core::ops::Deref for ShopDetached {
        type Target = ShopFields;
        #[inline]
        fn deref(&self) -> &ShopFields {
            &self.__fields
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Debug for ShopDetached {
        fn fmt(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            ::core::fmt::Debug::fmt(&self.__fields, __f)
        }
    }
    static __SCHEMA: ::session_runtime::__private::Schema = ::session_runtime::__private::Schema {
        name: "shop",
        version: 1u32,
        fingerprint: 12895820931045694161u64,
        tiers: Shop::TIERS,
        fields: &[::session_runtime::__private::FieldSpec {
            name: "lines",
            was: &[],
            default: |__out| __LINES_0.append_default(__out),
            merge: ::session_runtime::__private::merge::last_write,
            privileged: false,
            secret: false,
            default_on_invalid: false,
        }],
        owner: ::core::option::Option::None,
        removed: &[],
        previous: ::core::option::Option::None,
        idle: ::core::option::Option::None,
        max_age: ::core::option::Option::None,
        cookie: ::session_runtime::__private::CookieSpec::DEFAULT,
    };
    impl Shop {
        #[doc = "The tiers named in `#[cascade(...)]`."]
        pub const TIERS: ::session_runtime::__private::Tiers =
            ::session_runtime::__private::Tiers::MEMCACHE.union(::session_runtime::__private::Tiers::DATASTORE);
    }
    #[doc(hidden)]
    #[automatically_derived]
    impl<__S> ::session_runtime::__private::ServedBy<__S> for Shop
    where
        for<'__a> ShopFields: ::core::marker::Send + ::core::marker::Sync,
        __S: ::session_runtime::__private::HasMemcache<Shop> + ::session_runtime::__private::HasDatastore<Shop>,
    {
    }
    static __LINES_0: ::session_runtime::__private::Field<Vec<Line>> =
        ::session_runtime::__private::field::<Vec<Line>>(&__SCHEMA, 0usize, || {
            <Vec<Line> as ::session_runtime::__private::FieldDefault>::field_default()
        });
    #[automatically_derived]
    impl ::session_runtime::__private::Session for Shop
    where
        for<'__a> ShopFields: ::core::marker::Send + ::core::marker::Sync,
    {
        const TIERS: ::session_runtime::__private::Tiers = Shop::TIERS;
        const SCHEMA: &'static ::session_runtime::__private::Schema = &__SCHEMA;
        type Fields = ShopFields;
        type Detached = ShopDetached;
        fn with_defaults() -> ShopFields {
            ShopFields {
                record: ::core::default::Default::default(),
                __lines: ::session_runtime::__private::Slot::with_default(&__LINES_0),
            }
        }
        fn decode_fields(
            __record: &::session_runtime::__private::Record,
        ) -> ::core::result::Result<ShopFields, ::session_runtime::__private::OpenError> {
            let mut __opening = ::session_runtime::__private::FieldCursor::new(&__SCHEMA, __record);
            ::core::result::Result::Ok(ShopFields {
                record: ::core::clone::Clone::clone(__record.bytes()),
                __lines: __LINES_0.open(&mut __opening)?,
            })
        }
        fn from_value(__value: Self) -> ::core::result::Result<ShopFields, ::session_runtime::__private::FieldError> {
            ::core::result::Result::Ok(ShopFields {
                record: ::core::default::Default::default(),
                __lines: ::session_runtime::__private::Slot::migrated(&__LINES_0, __value.lines)?,
            })
        }
        fn into_value(__fields: ShopFields) -> ::core::result::Result<Self, ::session_runtime::__private::FieldError> {
            ::core::result::Result::Ok(Shop {
                lines: __fields.__lines.into_value(),
            })
        }
        fn into_detached(__fields: ShopFields) -> ShopDetached {
            ShopDetached { __fields }
        }
        fn detached_fields(__detached: &mut ShopDetached) -> &mut ShopFields {
            &mut __detached.__fields
        }
        fn record(__fields: &ShopFields) -> &[u8] {
            &__fields.record
        }
        fn slot(
            __fields: &ShopFields,
            __index: usize,
        ) -> ::core::option::Option<&dyn ::session_runtime::__private::AnySlot> {
            match __index {
                0usize => ::core::option::Option::Some(&__fields.__lines),
                _ => ::core::option::Option::None,
            }
        }
    }
};
