//! The struct of the version before gets another name when it makes room for the new one; what is stored does not.
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
