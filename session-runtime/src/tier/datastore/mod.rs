#![doc = include_str!("README.md")]

mod builder;
mod channels;
mod entity;
mod probe;
mod purge;
mod rpc;
mod rpc_error;
mod setup_error;
mod tier;

pub use builder::DatastoreBuilder;
pub use setup_error::SetupError;
pub use tier::Datastore;
