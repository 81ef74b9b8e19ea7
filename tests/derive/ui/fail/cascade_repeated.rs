use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
#[cascade(datastore)]
struct Shop {
    visits: u64,
}

fn main() {}
