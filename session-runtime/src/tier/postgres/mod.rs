#![doc = include_str!("README.md")]

mod builder;
mod call_error;
mod connections;
mod parameter;
mod purge;
mod setup_error;
mod statements;
mod table;
mod tier;
mod tls;

pub use builder::PostgresBuilder;
pub use setup_error::SetupError;
pub use tier::Postgres;
