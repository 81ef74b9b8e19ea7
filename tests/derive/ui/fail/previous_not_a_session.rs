use session_runtime::Session;

struct ShopV1;

#[derive(Session)]
#[session(version = 2, previous = ShopV1)]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

impl From<ShopV1> for Shop {
    fn from(_: ShopV1) -> Self {
        Self { visits: 0 }
    }
}

#[derive(Session)]
#[session(previous = ShopV1)]
#[cascade(memcache)]
struct Cart {
    visits: u64,
}

fn main() {}
