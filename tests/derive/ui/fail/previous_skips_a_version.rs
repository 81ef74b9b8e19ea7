use session_runtime::Session;

#[derive(Session)]
#[session(name = "shop", version = 1)]
#[cascade(memcache)]
struct ShopV1 {
    visits: u64,
}

#[derive(Session)]
#[session(version = 3, previous = ShopV1)]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

impl From<ShopV1> for Shop {
    fn from(old: ShopV1) -> Self {
        Self { visits: old.visits }
    }
}

fn main() {}
