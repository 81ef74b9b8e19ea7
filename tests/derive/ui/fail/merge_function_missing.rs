use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    #[session(merge = sum)]
    visits: u64,
}

fn main() {}
