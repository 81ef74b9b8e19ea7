use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache, cache)]
struct Shop {
    visits: u64,
}

#[derive(Session)]
#[cascade(request, durable, datastore)]
struct Cart {
    visits: u64,
}

fn main() {}
