use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    #[session(merge = keep_both)]
    visits: u64,
}

fn main() {}
