use session_runtime::Session;

fn widen(old: u8) -> Result<u64, std::convert::Infallible> {
    Ok(old.into())
}

#[derive(Session)]
#[session(version = 2)]
#[cascade(memcache)]
struct Shop {
    #[session(upgrade(2, widen))]
    late: u64,
    #[session(upgrade(1, widen), upgrade(1, widen))]
    twice: u64,
    #[session(upgrade(0, widen))]
    early: u64,
}

#[derive(Session)]
#[session(name = "cart", version = 2, previous = Shop)]
#[cascade(memcache)]
struct Cart {
    #[session(upgrade(1, widen))]
    visits: u64,
}

fn main() {}
