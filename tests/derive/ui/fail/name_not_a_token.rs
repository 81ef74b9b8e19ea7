use session_runtime::Session;

#[derive(Session)]
#[session(name = "my shop")]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

#[derive(Session)]
#[session(name = "")]
#[cascade(memcache)]
struct Cart {
    visits: u64,
}

#[derive(Session)]
#[cascade(memcache)]
struct Café {
    visits: u64,
}

fn main() {}
