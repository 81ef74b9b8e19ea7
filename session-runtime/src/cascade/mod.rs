//! The cascade: loads and commits sessions through the tiers.

pub mod protocol;
