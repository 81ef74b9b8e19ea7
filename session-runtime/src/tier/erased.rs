//! The tier traits as trait objects, so that a store has one type whatever its tiers; each call in a span.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::call::{BoxFuture, Called};
use super::{CacheTier, Cached, DurableTier, Scope, Stored, Swap, Token, Version, Write};

/// [`CacheTier`] as an object-safe trait.
pub(crate) trait AnyCache: Send + Sync {
    fn name(&self) -> &'static str;
    fn product(&self) -> &'static str;
    fn scope(&self) -> Scope;
    fn is_private_memory(&self) -> bool;
    fn check(&self) -> BoxFuture<'_, ()>;
    fn ping(&self) -> BoxFuture<'_, Vec<String>>;
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Cached>>;
    fn add<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> BoxFuture<'a, bool>;
    fn set<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> BoxFuture<'a, ()>;
    fn swap<'a>(&'a self, key: &'a str, token: Token, value: Bytes, ttl: Duration) -> BoxFuture<'a, Swap>;
    fn remove<'a>(&'a self, key: &'a str, token: Token) -> BoxFuture<'a, Swap>;
}

impl<T: CacheTier> AnyCache for T {
    fn name(&self) -> &'static str {
        CacheTier::name(self)
    }

    fn product(&self) -> &'static str {
        CacheTier::product(self)
    }

    fn scope(&self) -> Scope {
        CacheTier::scope(self)
    }

    fn is_private_memory(&self) -> bool {
        CacheTier::is_private_memory(self)
    }

    fn check(&self) -> BoxFuture<'_, ()> {
        Box::pin(CacheTier::check(self))
    }

    fn ping(&self) -> BoxFuture<'_, Vec<String>> {
        Called::cache(self).span("ping", || CacheTier::ping(self))
    }

    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Cached>> {
        Called::cache(self).span("get", || CacheTier::get(self, key))
    }

    fn add<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> BoxFuture<'a, bool> {
        Called::cache(self).span("add", || CacheTier::add(self, key, value, ttl))
    }

    fn set<'a>(&'a self, key: &'a str, value: Bytes, ttl: Duration) -> BoxFuture<'a, ()> {
        Called::cache(self).span("set", || CacheTier::set(self, key, value, ttl))
    }

    fn swap<'a>(&'a self, key: &'a str, token: Token, value: Bytes, ttl: Duration) -> BoxFuture<'a, Swap> {
        Called::cache(self).span("swap", || CacheTier::swap(self, key, token, value, ttl))
    }

    fn remove<'a>(&'a self, key: &'a str, token: Token) -> BoxFuture<'a, Swap> {
        Called::cache(self).span("remove", || CacheTier::remove(self, key, token))
    }
}

/// [`DurableTier`] as an object-safe trait.
pub(crate) trait AnyDurable: Send + Sync {
    fn name(&self) -> &'static str;
    fn product(&self) -> &'static str;
    fn scope(&self) -> Scope;
    fn max_write_delay(&self) -> Duration;
    fn ping(&self) -> BoxFuture<'_, Vec<String>>;
    fn read<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Stored>>;
    fn insert<'a>(&'a self, key: &'a str, value: Bytes, expires_at: SystemTime) -> BoxFuture<'a, Write>;
    fn update<'a>(&'a self, key: &'a str, base: Version, value: Bytes, expires_at: SystemTime) -> BoxFuture<'a, Write>;
    fn delete<'a>(&'a self, key: &'a str, base: Version) -> BoxFuture<'a, Write>;
    fn purge_interval(&self) -> Option<Duration>;
    fn purge_expired(&self, now: SystemTime, limit: usize) -> BoxFuture<'_, usize>;
}

impl<T: DurableTier> AnyDurable for T {
    fn name(&self) -> &'static str {
        DurableTier::name(self)
    }

    fn product(&self) -> &'static str {
        DurableTier::product(self)
    }

    fn scope(&self) -> Scope {
        DurableTier::scope(self)
    }

    fn max_write_delay(&self) -> Duration {
        DurableTier::max_write_delay(self)
    }

    fn ping(&self) -> BoxFuture<'_, Vec<String>> {
        Called::durable(self).span("ping", || DurableTier::ping(self))
    }

    fn read<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Stored>> {
        Called::durable(self).span("read", || DurableTier::read(self, key))
    }

    fn insert<'a>(&'a self, key: &'a str, value: Bytes, expires_at: SystemTime) -> BoxFuture<'a, Write> {
        Called::durable(self).span("insert", || DurableTier::insert(self, key, value, expires_at))
    }

    fn update<'a>(&'a self, key: &'a str, base: Version, value: Bytes, expires_at: SystemTime) -> BoxFuture<'a, Write> {
        Called::durable(self).span("update", || DurableTier::update(self, key, base, value, expires_at))
    }

    fn delete<'a>(&'a self, key: &'a str, base: Version) -> BoxFuture<'a, Write> {
        Called::durable(self).span("delete", || DurableTier::delete(self, key, base))
    }

    fn purge_interval(&self) -> Option<Duration> {
        DurableTier::purge_interval(self)
    }

    fn purge_expired(&self, now: SystemTime, limit: usize) -> BoxFuture<'_, usize> {
        Called::durable(self).span("purge_expired", || DurableTier::purge_expired(self, now, limit))
    }
}
