use session_runtime::Session;

fn widen(old: u8) -> Result<u32, std::convert::Infallible> {
    Ok(old.into())
}

#[derive(Session)]
#[session(version = 2)]
#[cascade(memcache)]
struct Shop {
    #[session(upgrade(1, widen))]
    visits: u64,
}

fn main() {}
