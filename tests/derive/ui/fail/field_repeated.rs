use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    visits: u64,
    visits: u64,
    r#visits: u64,
}

fn main() {}
