use session_runtime::Session;

#[derive(Session)]
#[session(privileged)]
#[cascade(memcache)]
struct Shop {
    #[session(version = 2)]
    user: Option<u64>,
}

fn main() {}
