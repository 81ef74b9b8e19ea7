use session_runtime::Session;

type Step<T> = Result<T, std::convert::Infallible>;

fn first(old: u8) -> Step<u16> {
    Ok(old.into())
}

fn second(old: u32) -> Step<u64> {
    Ok(old.into())
}

#[derive(Session)]
#[session(version = 3)]
#[cascade(memcache)]
struct Shop {
    #[session(upgrade(1, first), upgrade(2, second))]
    visits: u64,
}

fn main() {}
