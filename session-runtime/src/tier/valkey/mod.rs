#![doc = include_str!("README.md")]

mod address;
mod call;
mod call_error;
mod check;
mod config_error;
mod connection;
mod life;
mod server;
mod tier;

pub use config_error::ConfigError;
pub use tier::Valkey;
