//! The embedded tiers.
