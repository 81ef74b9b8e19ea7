use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

fn handler(shop: &ShopFields) -> &str {
    shop.visits()
}

fn main() {}
