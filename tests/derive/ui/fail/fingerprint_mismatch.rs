use session_runtime::Session;

#[derive(Session)]
#[session(version = 2, fingerprint = 0x0123456789abcdef)]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

fn main() {}
