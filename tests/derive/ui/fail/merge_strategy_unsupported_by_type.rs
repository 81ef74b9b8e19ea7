use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    #[session(merge = add)]
    note: Option<String>,
    #[session(merge = union)]
    visits: u64,
    #[session(merge = entries)]
    lines: Vec<u8>,
    #[session(merge = max)]
    tags: std::collections::HashMap<u8, u8>,
}

fn main() {}
