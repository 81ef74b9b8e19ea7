use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

fn handler(shop: &ShopFields) {
    let _ = shop.visitors();
    let _ = shop.visits;
}

fn main() {}
