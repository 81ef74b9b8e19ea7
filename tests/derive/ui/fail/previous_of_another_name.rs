use session_runtime::Session;

#[derive(Session)]
#[session(name = "cart", version = 1)]
#[cascade(memcache)]
struct Cart {
    visits: u64,
}

#[derive(Session)]
#[session(name = "shop", version = 2, previous = Cart)]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

impl From<Cart> for Shop {
    fn from(old: Cart) -> Self {
        Self { visits: old.visits }
    }
}

fn main() {}
