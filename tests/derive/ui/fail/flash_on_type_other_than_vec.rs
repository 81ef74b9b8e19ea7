use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    #[session(flash)]
    notice: Option<String>,
}

fn main() {}
