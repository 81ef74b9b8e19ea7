//! The cascade: loads and commits sessions through the tiers.

mod builder;
mod chores;
mod driver;
mod environment;
mod item;
mod locks;
pub(crate) mod metrics;
pub(crate) mod outcome;
mod policy;
pub mod protocol;
pub(crate) mod shared;
mod store;

pub use builder::{BuildError, Builder};
pub use outcome::{Commit, CommitError, CommitReport, LoadError, LoadReport};
pub use store::{CascadeStore, NoDatastore, NoMemcache, WithDatastore, WithMemcache};
