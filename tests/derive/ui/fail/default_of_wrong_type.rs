use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    #[session(default = "none")]
    visits: u64,
}

fn main() {}
