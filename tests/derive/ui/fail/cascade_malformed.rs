use session_runtime::Session;

#[derive(Session)]
#[cascade = "memcache"]
struct Shop {
    #[cascade(memcache)]
    visits: u64,
}

#[derive(Session)]
#[cascade("memcache")]
struct Cart {
    visits: u64,
}

fn main() {}
