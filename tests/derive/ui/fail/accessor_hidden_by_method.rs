use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    rotate: bool,
    #[session(accessor = "into")]
    target: String,
    borrow: u8,
    #[session(accessor = "session_type")]
    type_id: u8,
    drop: u8,
    #[session(accessor = "r#commit")]
    raw: u8,
    touch: bool,
    persistence: u8,
}

fn main() {}
