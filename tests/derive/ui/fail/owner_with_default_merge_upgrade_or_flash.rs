use session_runtime::Session;

fn to_text(number: u64) -> Result<String, std::convert::Infallible> {
    Ok(number.to_string())
}

#[derive(Session)]
#[session(version = 2)]
#[cascade(memcache, datastore)]
struct Upgraded {
    #[session(owner, upgrade(1, to_text))]
    user: String,
}

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Merged {
    #[session(owner, default = 7, merge = max)]
    user: u64,
}

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Flashed {
    #[session(owner, flash)]
    users: Vec<String>,
}

fn main() {}
