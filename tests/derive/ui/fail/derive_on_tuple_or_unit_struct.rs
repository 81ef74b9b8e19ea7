use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop(u64);

#[derive(Session)]
#[cascade(memcache)]
struct Empty;

fn main() {}
