use session_runtime::Session;

#[derive(Session)]
#[session(version = 0)]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

fn main() {}
