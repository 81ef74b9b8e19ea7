use session_runtime::Session;

const NAME: &str = "shop";
const VERSION: u32 = 2;

#[derive(Session)]
#[session(name = NAME, version = VERSION, fingerprint = 1 + 1)]
#[cascade(memcache)]
struct Shop {
    #[session(accessor = concat!("no", "te"))]
    note: String,
}

fn main() {}
