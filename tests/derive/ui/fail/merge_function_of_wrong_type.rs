use session_runtime::Session;

fn longest(_: &String, theirs: String, _: String) -> String {
    theirs
}

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    #[session(merge = longest)]
    visits: u64,
}

fn main() {}
