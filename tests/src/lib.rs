//! What the tests share.

pub mod services;
