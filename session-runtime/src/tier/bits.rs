//! The names of the tiers, as bits.

bitflags::bitflags! {
    /// The tiers that a session is stored in, as bits that can be OR-ed.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Tiers: u8 {
        /// The memory of the one request: a second access within the request is free, and nothing is sent anywhere.
        const REQUEST = 0b001;
        /// memcached, Valkey or Redis, or a cache inside the process: fast, and may forget at any moment.
        const MEMCACHE = 0b010;
        /// Postgres, Google Cloud Datastore, or a file of a single process: durable, the authority.
        const DATASTORE = 0b100;
        /// The tiers that outlive a request.
        const DISTRIBUTED = Self::MEMCACHE.bits() | Self::DATASTORE.bits();
        /// Every tier.
        const ALL = Self::REQUEST.bits() | Self::DISTRIBUTED.bits();
    }
}
