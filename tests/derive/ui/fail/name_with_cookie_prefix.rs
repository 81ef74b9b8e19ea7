use session_runtime::Session;

#[derive(Session)]
#[session(name = "__Host-shop")]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

fn main() {}
