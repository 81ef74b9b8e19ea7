use session_runtime::Session;

#[derive(Session)]
#[session(nme = "shop")]
#[cascade(memcache)]
struct Shop {
    #[session(priviledged)]
    user: Option<u64>,
}

fn main() {}
