use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    note: String,
    note_mut: String,
    #[session(accessor = "note")]
    remark: String,
}

fn main() {}
