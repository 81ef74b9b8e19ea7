use session_runtime::Session;

#[derive(Session)]
#[session(name = "shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-shop-")]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

fn main() {}
