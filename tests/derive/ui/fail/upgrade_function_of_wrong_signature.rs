use session_runtime::Session;

struct Unexplained;

fn no_result(old: u8) -> u64 {
    old.into()
}

fn too_many(old: u8, _: u8) -> Result<u64, std::convert::Infallible> {
    Ok(old.into())
}

fn no_error(old: u8) -> Result<u64, Unexplained> {
    Ok(old.into())
}

#[derive(Session)]
#[session(version = 2)]
#[cascade(memcache)]
struct Shop {
    #[session(upgrade(1, no_result))]
    a: u64,
    #[session(upgrade(1, too_many))]
    b: u64,
    #[session(upgrade(1, no_error))]
    c: u64,
    #[session(upgrade(1, missing))]
    d: u64,
}

fn main() {}
