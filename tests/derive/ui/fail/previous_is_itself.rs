use session_runtime::Session;

#[derive(Session)]
#[session(version = 2, previous = Shop)]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

fn main() {}
