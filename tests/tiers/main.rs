//! Tests of the tiers.

#[cfg(feature = "datastore")]
mod datastore;
mod embedded;
mod memcache;
#[cfg(feature = "postgres")]
mod postgres;
mod sets;
#[cfg(feature = "valkey")]
mod valkey;
