use session_runtime::Session;

#[derive(Session)]
#[session(version = 1, version = 2)]
#[cascade(memcache)]
struct Shop {
    #[session(privileged)]
    #[session(privileged)]
    user: Option<u64>,
}

fn main() {}
