//! Why a store could not be built.

/// Why a store could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// An option has an invalid value.
    #[error("{option} is {value}: {remedy}")]
    Option {
        /// The builder's method.
        option: &'static str,
        /// The value.
        value: String,
        /// What it must be.
        remedy: &'static str,
    },
    /// The keys are missing or invalid.
    #[error("SESSION_KEYS cannot be used")]
    Keys(#[from] crate::keys::KeyError),
    /// Processes that share a tier need the same keys, and there are none.
    #[error(
        "{address} names a tier that other processes share, and SESSION_KEYS is not set: give every process the same \
         keys, base64, 32 bytes or more (`openssl rand -base64 32`)"
    )]
    SharedWithoutKeys {
        /// The variable that names the tier.
        address: &'static str,
    },
    /// An address is set whose tier is not compiled in.
    #[error(
        "{address} is set, but the feature `{feature}` of session-runtime is not compiled in: enable it, or unset {address} \
         (where SESSION_STORE_PATH is set, sessions are in a file, and DATABASE_URL and REDIS_URL are the application's own)"
    )]
    NotCompiledIn {
        /// The variable that is set.
        address: &'static str,
        /// The feature that it needs.
        feature: &'static str,
    },
    /// Two caches are named.
    #[error("{first} and {second} are both set, and a store has one cache: unset the one that sessions do not use")]
    TwoCaches {
        /// One of the variables.
        first: &'static str,
        /// The other one.
        second: &'static str,
    },
    /// A tier has no address, and the embedded tiers are not compiled in.
    #[error(
        "{address} is not set, and the feature `embedded` of session-runtime, which needs no address, is not compiled in: \
         set {address}, or enable it"
    )]
    NoTier {
        /// The variable that is not set.
        address: &'static str,
    },
    /// The cache belongs to this process, and the durable tier to others too.
    #[error(
        "the cache `{cache}` belongs to this process, and others write to `{durable}`: what they change or destroy would \
         still be served from it; use a cache that they share (`Memcache`, MEMCACHE_SERVERS, or `Valkey`, VALKEY_URL), or \
         none (`without_cache`), or, where no other process serves these sessions, say so (`single_process`, \
         SESSION_SINGLE_PROCESS=1)"
    )]
    LocalCacheOverShared {
        /// The name of the cache.
        cache: &'static str,
        /// The name of the durable tier.
        durable: &'static str,
    },
    /// The cache belongs to other processes too, and the durable tier to this one.
    #[error(
        "other processes share the cache `{cache}`, and `{durable}` belongs to this one: they would find sessions in the \
         cache whose records they do not have; use a durable tier that they share, such as Postgres (DATABASE_URL) or \
         Datastore (DATASTORE_PROJECT_ID), or a cache of this process (`LocalCache`, MEMCACHE_SERVERS, VALKEY_URL and \
         REDIS_URL not set), or, where no other process serves these sessions, say so (`single_process`, \
         SESSION_SINGLE_PROCESS=1); a store with a shared tier needs SESSION_KEYS too"
    )]
    SharedCacheOverLocal {
        /// The name of the cache.
        cache: &'static str,
        /// The name of the durable tier.
        durable: &'static str,
    },
    /// The tier could not be set up.
    #[error("the {tier} tier could not be set up")]
    Tier {
        /// Which one.
        tier: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The key file of an embedded store could not be read or written.
    #[error("the key file {path} could not be read or written")]
    KeyFile {
        /// Where it is.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}
