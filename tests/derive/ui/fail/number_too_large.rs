use session_runtime::Session;

#[derive(Session)]
#[session(version = 4_294_967_296, fingerprint = 0x1_0000_0000_0000_0000)]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

fn main() {}
