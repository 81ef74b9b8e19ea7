use session_runtime::Session;

#[derive(Session)]
#[session(removed("visits", "old"))]
#[cascade(memcache)]
struct Shop {
    visits: u64,
    #[session(was = "old")]
    note: Option<String>,
}

fn main() {}
