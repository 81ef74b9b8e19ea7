//! Tests of the tiers.

mod embedded;
mod memcache;
