#![doc = include_str!("README.md")]

mod builder;
mod entity;
mod fault;
mod probe;
mod purge;
mod rpc;
mod setup_error;
mod tier;

pub use builder::DatastoreBuilder;
pub use setup_error::SetupError;
pub use tier::Datastore;
