//! Where records live: the bits that name the tiers, and the two traits that a tier implements.
//!
//! A [`CacheTier`] may forget at any moment; a [`DurableTier`] may not, and its compare-and-swap is what orders the
//! writers of a session. Both carry bytes that they need not understand. What they must promise is checked by the
//! crate's conformance suite, which runs on a tier of anyone's making.

mod bits;
#[cfg(feature = "datastore")]
pub mod datastore;
#[cfg(feature = "embedded")]
pub mod embedded;
pub(crate) mod erased;
mod error;
#[cfg(feature = "memcache")]
pub mod memcache;
mod traits;

pub use bits::Tiers;
pub use error::{TierError, TierErrorKind};
pub use traits::{CacheTier, Cached, DurableTier, Stored, Swap, Token, Version, Write};
