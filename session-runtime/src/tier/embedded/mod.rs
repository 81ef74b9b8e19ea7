//! Tiers for one process: a cache in place of memcached, a file in place of Datastore.
