use session_runtime::Session;

#[derive(Session)]
#[session(cookie(name = "__Host-shop", same_site = relaxed, path = "shop", domain = ".example.com", http_only = no))]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

#[derive(Session)]
#[session(cookie(name = "my shop", path = "/a;b", domain = "https://example.com", partitioned = true))]
#[cascade(memcache)]
struct Cart {
    visits: u64,
}

#[derive(Session)]
#[session(cookie(path = "/one", path = "/two", secure, version = 2), same_site = strict)]
#[cascade(memcache)]
struct Basket {
    visits: u64,
}

#[derive(Session)]
#[session(cookie())]
#[cascade(memcache)]
struct Till {
    #[session(cookie(name = "till"))]
    visits: u64,
}

#[derive(Session)]
#[session(cookie = "shop")]
#[cascade(memcache)]
struct Ledger {
    visits: u64,
}

fn main() {}
