//! `cache` and `memcache`, `durable` and `datastore` name the same tiers, and leave the fingerprint as it is.
use session_runtime::{Session, Tiers};

mod by_product {
    #[derive(session_runtime::Session)]
    #[session(fingerprint = 0x96ea1c45c78a04a5)]
    #[cascade(request, memcache, datastore)]
    pub struct Shop {
        visits: u64,
    }
}

mod by_purpose {
    #[derive(session_runtime::Session)]
    #[session(fingerprint = 0x96ea1c45c78a04a5)]
    #[cascade(request, cache, durable)]
    pub struct Shop {
        visits: u64,
    }
}

#[derive(Session)]
#[cascade(cache)]
struct Cached {
    visits: u64,
}

#[derive(Session)]
#[cascade(durable)]
struct Durable {
    visits: u64,
}

/// One name of each kind.
#[derive(Session)]
#[cascade(cache, datastore)]
struct Mixed {
    visits: u64,
}

fn main() {
    assert_eq!(by_purpose::Shop::TIERS, by_product::Shop::TIERS);
    assert_eq!(
        by_purpose::Shop::SCHEMA.fingerprint,
        by_product::Shop::SCHEMA.fingerprint
    );
    assert_eq!(Cached::TIERS, Tiers::MEMCACHE);
    assert_eq!(Durable::TIERS, Tiers::DATASTORE);
    assert_eq!(Mixed::TIERS, Tiers::MEMCACHE | Tiers::DATASTORE);
}
