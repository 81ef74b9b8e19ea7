use session_runtime::Session;

#[derive(Session)]
#[session(removed("", "old note"))]
#[cascade(memcache)]
struct Shop {
    #[session(was = "r#type")]
    kind: u64,
    #[session(was = "~1~visits")]
    visits: u64,
}

fn main() {}
