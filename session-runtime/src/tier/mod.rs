//! The tiers that store records: the bits that name them, and the two traits that they implement.
//!
//! A [`CacheTier`] may forget at any moment; a [`DurableTier`] may not, and its compare-and-swap orders the writers of a
//! session. To both, a value is opaque bytes. The crate's conformance suite (the feature `conformance`) checks any
//! implementation of them.

mod bits;
#[cfg(any(feature = "memcache", feature = "valkey"))]
mod breaker;
mod call;
#[cfg(feature = "datastore")]
pub mod datastore;
#[cfg(feature = "embedded")]
pub mod embedded;
pub(crate) mod erased;
mod error;
#[cfg(feature = "memcache")]
pub mod memcache;
#[cfg(any(feature = "memcache", feature = "valkey"))]
mod network;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "datastore", feature = "embedded"))]
pub(crate) mod started;
#[cfg(any(feature = "postgres", feature = "valkey"))]
mod tls;
mod traits;
#[cfg(feature = "valkey")]
pub mod valkey;

pub use bits::Tiers;
pub use error::{TierError, TierErrorKind};
pub use traits::{CacheTier, Cached, DurableTier, Scope, Stored, Swap, Token, Version, Write};
