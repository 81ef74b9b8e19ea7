use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Shop {
    #[session(owner)]
    user: Option<u64>,
    #[session(owner)]
    admin: Option<u64>,
}

fn main() {}
