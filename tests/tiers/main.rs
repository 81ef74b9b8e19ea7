//! Tests of the tiers.

#[cfg(feature = "datastore")]
mod datastore;
mod embedded;
mod memcache;
mod sets;
