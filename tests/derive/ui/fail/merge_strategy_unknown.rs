use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    #[session(merge = entries(sum))]
    lines: Vec<u8>,
    #[session(merge = 3)]
    visits: u64,
}

fn main() {}
