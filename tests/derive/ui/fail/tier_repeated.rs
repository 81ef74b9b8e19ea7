use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache, datastore, memcache)]
struct Shop {
    visits: u64,
}

#[derive(Session)]
#[cascade(cache, durable, durable)]
struct Cart {
    visits: u64,
}

fn main() {}
