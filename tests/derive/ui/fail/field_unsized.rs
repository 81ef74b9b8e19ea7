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

#[derive(Session)]
#[cascade(memcache)]
struct Log {
    lines: dyn std::fmt::Debug + Send + Sync,
}

fn handler(shop: &ShopFields, cart: &CartFields, log: &LogFields) {
    let _ = (shop.note(), cart.lines(), log.lines());
}

fn main() {}
