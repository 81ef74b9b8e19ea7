use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    #[session(merge = append)]
    lines: Vec<u8>,
    #[session(merge = maxx)]
    visits: u64,
}

fn main() {}
