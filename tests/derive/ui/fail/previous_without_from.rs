use session_runtime::Session;

#[derive(Session)]
#[session(name = "shop", version = 1)]
#[cascade(memcache)]
struct ShopV1 {
    visits: u64,
}

#[derive(Session)]
#[session(version = 2, previous = ShopV1)]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

fn main() {}
