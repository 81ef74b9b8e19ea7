use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Shop {
    #[session(owner)]
    user: Option<u64>,
    device_id: u64,
    device_label: String,
}

fn main() {}
