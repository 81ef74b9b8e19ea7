//! The memcached tier.
