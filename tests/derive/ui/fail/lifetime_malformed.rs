use session_runtime::Session;

#[derive(Session)]
#[session(idle = "15min", max_age = "0h")]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

#[derive(Session)]
#[session(idle = "213503982334602d", max_age = 3600)]
#[cascade(memcache)]
struct Cart {
    visits: u64,
}

#[derive(Session)]
#[session(idle = "1d", max_age = "12h")]
#[cascade(memcache)]
struct Basket {
    visits: u64,
}

#[derive(Session)]
#[cascade(memcache)]
struct Till {
    #[session(idle = "15m")]
    visits: u64,
}

fn main() {}
