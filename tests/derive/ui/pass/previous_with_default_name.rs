//! The struct of the previous version is renamed; its stored name, left to the default, need not match the new one's.
use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct ShopV1 {
    visits: u32,
}

#[derive(Session)]
#[session(version = 2, previous = ShopV1)]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

impl From<ShopV1> for Shop {
    fn from(old: ShopV1) -> Self {
        Self {
            visits: old.visits.into(),
        }
    }
}

fn main() {}
