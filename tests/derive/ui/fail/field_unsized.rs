use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    note: str,
}

#[derive(Session)]
#[cascade(memcache)]
struct Cart {
    lines: [u8],
}

fn handler(shop: &ShopFields, cart: &CartFields) {
    let _ = (shop.note(), cart.lines());
}

fn main() {}
