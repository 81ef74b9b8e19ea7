//! The cascade: loads and commits sessions through the tiers.

pub(crate) mod backend;
mod background;
pub mod batch;
mod build_error;
mod builder;
mod cold;
mod commit;
mod diagnostics;
pub mod envelope;
mod environment;
pub(crate) mod event;
mod health;
pub mod inner;
pub mod item;
pub(crate) mod lookup;
pub(crate) mod metrics;
mod options;
pub(crate) mod outcome;
pub mod owner;
pub mod patch;
mod policy;
pub mod protocol;
mod queue;
mod rejected;
#[cfg(feature = "seal")]
mod seal;
pub(crate) mod spans;
mod store;
pub mod stored;

pub use build_error::BuildError;
pub use builder::Builder;
pub use event::SessionEvent;
pub use health::{Degraded, Health, TierHealth};
pub use outcome::{Commit, CommitError, CommitReport, LoadError, LoadReport};
pub use owner::{OwnerError, amendments::BeyondMax};
pub use store::{CascadeStore, NoDatastore, NoMemcache, WithDatastore, WithMemcache};
