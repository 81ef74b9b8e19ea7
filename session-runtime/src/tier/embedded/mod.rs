//! Tiers for one process: a cache in place of memcached, a file in place of Datastore.

mod cache;
mod file;

pub use cache::LocalCache;
pub use file::{LocalFile, LocalFileError};
