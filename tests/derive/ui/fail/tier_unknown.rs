use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache, redis)]
struct Shop {
    visits: u64,
}

#[derive(Session)]
#[cascade(cached, durable)]
struct Cart {
    visits: u64,
}

fn main() {}
