#[session(name = "shop", version = 3, removed("old"), crate = runtime)]
#[session(idle = "15m", max_age = "12h")]
#[session(cookie(name = "s", same_site = strict, path = "/shop", domain = "example.com", http_only = false, partitioned))]
#[cascade(request, memcache)]
struct Shop {
    #[session(default = 3, merge = add, privileged, secret)]
    visits: u64,
    #[session(flash, accessor = "notices")]
    r#type: Vec<String>,
    #[session(lazy, was = "before", upgrade(1, one), upgrade(2, two), on_invalid = default)]
    history: String,
    #[session(owner)]
    user: Option<u64>,
}

// Generated:

#[doc = "The fields of a [`Shop`] session, with their accessors.\n\nReached through `TypedSession<Shop>`, which dereferences to this struct."]
struct ShopFields {
    #[doc(hidden)]
    record: runtime::__private::Bytes,
    #[doc(hidden)]
    __visits: runtime::__private::Slot<u64>,
    #[doc(hidden)]
    __type: runtime::__private::Slot<Vec<String>>,
    #[doc(hidden)]
    __history: runtime::__private::LazySlot<String>,
    #[doc(hidden)]
    __user: runtime::__private::Slot<Option<u64>>,
}
#[doc = "The fields of a [`Shop`] session that outlives its request.\n\nReached through `Detached<Shop>`, which dereferences to this struct. Fields are read as in [`ShopFields`]. Privileged fields are read-only here: there is no response to carry the new secret."]
struct ShopDetached {
    #[doc(hidden)]
    __fields: ShopFields,
}
const _: () = {
    #[allow(dead_code)]
    impl ShopFields {
        #[doc = "The field `visits`, which `Debug` does not show."]
        #[must_use]
        #[inline]
        fn visits(&self) -> &u64 {
            self.__visits.get()
        }
        #[doc = "Borrows `visits` mutably, to change it in place; a change rotates the session's secret, since the field is privileged."]
        #[inline]
        fn visits_mut(&mut self) -> &mut u64 {
            self.__visits.get_mut()
        }
        #[doc = "Sets `visits`; this rotates the session's secret even where the value stays the same, since the field is privileged."]
        #[inline]
        fn set_visits(&mut self, __value: u64) {
            self.__visits.set(__value)
        }
        #[doc = "The messages in `type`, which remain there."]
        #[must_use]
        #[inline]
        fn notices(&self) -> &Vec<String> {
            self.__type.get()
        }
        #[doc = "Adds a message to `type`, to be read once."]
        #[inline]
        fn push_notices(&mut self, __value: String) {
            self.__type.push(__value)
        }
        #[doc = "Takes all messages out of `type`."]
        #[inline]
        fn take_notices(&mut self) -> Vec<String> {
            self.__type.take()
        }
        #[doc = "The field `history`, which is decoded when it is first used."]
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = ""]
        #[doc = "If the stored bytes do not decode; they are left as they are."]
        #[inline]
        fn history(&self) -> ::core::result::Result<&String, runtime::__private::FieldError> {
            self.__history.get(&self.record)
        }
        #[doc = "Borrows `history` mutably, to change it in place."]
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = ""]
        #[doc = "If the stored bytes do not decode; they are left as they are."]
        #[inline]
        fn history_mut(&mut self) -> ::core::result::Result<&mut String, runtime::__private::FieldError> {
            self.__history.get_mut(&self.record)
        }
        #[doc = "Sets `history`."]
        #[inline]
        fn set_history(&mut self, __value: String) {
            self.__history.set(&self.record, __value)
        }
        #[doc = "The field `user`."]
        #[must_use]
        #[inline]
        fn user(&self) -> &Option<u64> {
            self.__user.get()
        }
        #[doc = "Borrows `user` mutably, to change it in place; a change rotates the session's secret, since the field is privileged."]
        #[inline]
        fn user_mut(&mut self) -> &mut Option<u64> {
            self.__user.get_mut()
        }
        #[doc = "Sets `user`; this rotates the session's secret even where the value stays the same, since the field is privileged."]
        #[inline]
        fn set_user(&mut self, __value: Option<u64>) {
            self.__user.set(__value)
        }
        #[doc = "Copies all fields, as they are now, into a `Shop`."]
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = ""]
        #[doc = "If a lazy field does not decode."]
        fn snapshot(&self) -> ::core::result::Result<Shop, runtime::__private::FieldError> {
            use runtime::__private::copy_traits::*;
            ::core::result::Result::Ok(Shop {
                visits: (&self.__visits.copier(&self.record)).copy(),
                r#type: (&self.__type.copier(&self.record)).copy(),
                history: (&self.__history.copier(&self.record)?).copy(),
                user: (&self.__user.copier(&self.record)).copy(),
            })
        }
    }
    #[automatically_derived]
    impl ::core::fmt::Debug for ShopFields {
        fn fmt(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            use runtime::__private::debug_traits::*;
            let mut __debug = __f.debug_struct("ShopFields");
            __debug.field("visits", &runtime::__private::Redacted("[secret]"));
            __debug.field(
                "type",
                (&runtime::__private::DebugProbe(self.__type.get())).debug_value(),
            );
            __debug.field("history", &self.__history);
            __debug.field(
                "user",
                (&runtime::__private::DebugProbe(self.__user.get())).debug_value(),
            );
            __debug.finish()
        }
    }
    #[allow(dead_code)]
    impl ShopDetached {
        #[doc = "Borrows `visits` mutably, to change it in place; a change rotates the session's secret, since the field is privileged."]
        #[doc(hidden)]
        #[inline]
        fn visits_mut(&mut self) -> &mut u64
        where
            for<'__a> Self: runtime::__private::CarriesSecret,
        {
            self.__fields.visits_mut()
        }
        #[doc = "Sets `visits`; this rotates the session's secret even where the value stays the same, since the field is privileged."]
        #[doc(hidden)]
        #[inline]
        fn set_visits(&mut self, __value: u64)
        where
            for<'__a> Self: runtime::__private::CarriesSecret,
        {
            self.__fields.set_visits(__value)
        }
        #[doc = "Adds a message to `type`, to be read once."]
        #[inline]
        fn push_notices(&mut self, __value: String) {
            self.__fields.push_notices(__value)
        }
        #[doc = "Takes all messages out of `type`."]
        #[inline]
        fn take_notices(&mut self) -> Vec<String> {
            self.__fields.take_notices()
        }
        #[doc = "Borrows `history` mutably, to change it in place."]
        #[doc = ""]
        #[doc = "# Errors"]
        #[doc = ""]
        #[doc = "If the stored bytes do not decode; they are left as they are."]
        #[inline]
        fn history_mut(&mut self) -> ::core::result::Result<&mut String, runtime::__private::FieldError> {
            self.__fields.history_mut()
        }
        #[doc = "Sets `history`."]
        #[inline]
        fn set_history(&mut self, __value: String) {
            self.__fields.set_history(__value)
        }
        #[doc = "Borrows `user` mutably, to change it in place; a change rotates the session's secret, since the field is privileged."]
        #[doc(hidden)]
        #[inline]
        fn user_mut(&mut self) -> &mut Option<u64>
        where
            for<'__a> Self: runtime::__private::CarriesSecret,
        {
            self.__fields.user_mut()
        }
        #[doc = "Sets `user`; this rotates the session's secret even where the value stays the same, since the field is privileged."]
        #[doc(hidden)]
        #[inline]
        fn set_user(&mut self, __value: Option<u64>)
        where
            for<'__a> Self: runtime::__private::CarriesSecret,
        {
            self.__fields.set_user(__value)
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
    static __SCHEMA: runtime::__private::Schema = runtime::__private::Schema {
        name: "shop",
        version: 3u32,
        fingerprint: 10741592438670952197u64,
        tiers: Shop::TIERS,
        fields: &[
            runtime::__private::FieldSpec {
                name: "type",
                was: &[],
                default: |__out| __TYPE_1.append_default(__out),
                merge: runtime::__private::merge::union::<Vec<String>>,
                privileged: false,
                secret: false,
                default_on_invalid: false,
            },
            runtime::__private::FieldSpec {
                name: "user",
                was: &[],
                default: |__out| __USER_3.append_default(__out),
                merge: runtime::__private::merge::last_write,
                privileged: true,
                secret: false,
                default_on_invalid: false,
            },
            runtime::__private::FieldSpec {
                name: "visits",
                was: &[],
                default: |__out| __VISITS_0.append_default(__out),
                merge: runtime::__private::merge::add::<u64>,
                privileged: true,
                secret: true,
                default_on_invalid: false,
            },
            runtime::__private::FieldSpec {
                name: "history",
                was: &["before"],
                default: |__out| __HISTORY_2.append_default(__out),
                merge: runtime::__private::merge::last_write,
                privileged: false,
                secret: false,
                default_on_invalid: true,
            },
        ],
        owner: ::core::option::Option::Some("user"),
        removed: &["old"],
        previous: ::core::option::Option::None,
        idle: ::core::option::Option::Some(::core::time::Duration::from_secs(900u64)),
        max_age: ::core::option::Option::Some(::core::time::Duration::from_secs(43200u64)),
        cookie: runtime::__private::CookieSpec {
            name: ::core::option::Option::Some("s"),
            same_site: ::core::option::Option::Some(runtime::__private::SameSite::Strict),
            path: ::core::option::Option::Some("/shop"),
            domain: ::core::option::Option::Some("example.com"),
            http_only: ::core::option::Option::Some(false),
            partitioned: ::core::option::Option::Some(true),
        },
    };
    impl Shop {
        #[doc = "The tiers named in `#[cascade(...)]`."]
        const TIERS: runtime::__private::Tiers =
            runtime::__private::Tiers::REQUEST.union(runtime::__private::Tiers::MEMCACHE);
    }
    #[doc(hidden)]
    #[automatically_derived]
    impl<__S> runtime::__private::ServedBy<__S> for Shop
    where
        for<'__a> ShopFields: ::core::marker::Send + ::core::marker::Sync,
        __S: runtime::__private::HasMemcache<Shop>,
    {
    }
    #[automatically_derived]
    impl runtime::__private::OwnedSession for Shop
    where
        for<'__a> ShopFields: ::core::marker::Send + ::core::marker::Sync,
    {
        type OwnerId = <Option<u64> as runtime::__private::OwnerField>::Id;
    }
    static __TYPE_1: runtime::__private::Field<Vec<String>> =
        runtime::__private::field::<Vec<String>>(&__SCHEMA, 0usize, || {
            <Vec<String> as runtime::__private::FieldDefault>::field_default()
        });
    static __USER_3: runtime::__private::Field<Option<u64>> =
        runtime::__private::field::<Option<u64>>(&__SCHEMA, 1usize, || {
            <Option<u64> as runtime::__private::FieldDefault>::field_default()
        });
    static __VISITS_0: runtime::__private::Field<u64> = runtime::__private::field::<u64>(&__SCHEMA, 2usize, || 3);
    static __HISTORY_2: runtime::__private::Field<String> =
        runtime::__private::field::<String>(&__SCHEMA, 3usize, || {
            <String as runtime::__private::FieldDefault>::field_default()
        })
        .upgrade(|__version, __bytes| {
            if __version <= 1u32 {
                return ::core::option::Option::Some(runtime::__private::upgrade_then::<_, String, _>(
                    runtime::__private::upgrade_first::<_, _, _>(__bytes, one),
                    two,
                ));
            }
            if __version <= 2u32 {
                return ::core::option::Option::Some(runtime::__private::upgrade_first::<_, String, _>(__bytes, two));
            }
            ::core::option::Option::None
        });
    #[automatically_derived]
    impl runtime::__private::Session for Shop
    where
        for<'__a> ShopFields: ::core::marker::Send + ::core::marker::Sync,
    {
        const TIERS: runtime::__private::Tiers = Shop::TIERS;
        const SCHEMA: &'static runtime::__private::Schema = &__SCHEMA;
        type Fields = ShopFields;
        type Detached = ShopDetached;
        fn with_defaults() -> ShopFields {
            ShopFields {
                record: ::core::default::Default::default(),
                __type: runtime::__private::Slot::with_default(&__TYPE_1),
                __user: runtime::__private::Slot::with_default(&__USER_3),
                __visits: runtime::__private::Slot::with_default(&__VISITS_0),
                __history: runtime::__private::LazySlot::with_default(&__HISTORY_2),
            }
        }
        fn decode_fields(
            __record: &runtime::__private::Record,
        ) -> ::core::result::Result<ShopFields, runtime::__private::OpenError> {
            let mut __opening = runtime::__private::FieldCursor::new(&__SCHEMA, __record);
            ::core::result::Result::Ok(ShopFields {
                record: ::core::clone::Clone::clone(__record.bytes()),
                __type: __TYPE_1.open(&mut __opening)?,
                __user: __USER_3.open(&mut __opening)?,
                __visits: __VISITS_0.open(&mut __opening)?,
                __history: __HISTORY_2.open_lazy(&mut __opening)?,
            })
        }
        fn from_value(__value: Self) -> ::core::result::Result<ShopFields, runtime::__private::FieldError> {
            ::core::result::Result::Ok(ShopFields {
                record: ::core::default::Default::default(),
                __type: runtime::__private::Slot::migrated(&__TYPE_1, __value.r#type)?,
                __user: runtime::__private::Slot::migrated(&__USER_3, __value.user)?,
                __visits: runtime::__private::Slot::migrated(&__VISITS_0, __value.visits)?,
                __history: runtime::__private::LazySlot::migrated(&__HISTORY_2, __value.history)?,
            })
        }
        fn into_value(__fields: ShopFields) -> ::core::result::Result<Self, runtime::__private::FieldError> {
            ::core::result::Result::Ok(Shop {
                r#type: __fields.__type.into_value(),
                user: __fields.__user.into_value(),
                visits: __fields.__visits.into_value(),
                history: __fields.__history.into_value(&__fields.record)?,
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
        fn slot(__fields: &ShopFields, __index: usize) -> ::core::option::Option<&dyn runtime::__private::AnySlot> {
            match __index {
                0usize => ::core::option::Option::Some(&__fields.__type),
                1usize => ::core::option::Option::Some(&__fields.__user),
                2usize => ::core::option::Option::Some(&__fields.__visits),
                3usize => ::core::option::Option::Some(&__fields.__history),
                _ => ::core::option::Option::None,
            }
        }
    }
};
