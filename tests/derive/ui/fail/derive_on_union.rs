use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
union Shop {
    visits: u64,
}

fn main() {}
