use session_runtime::Session;

#[derive(Session)]
#[cascade()]
struct Shop {
    visits: u64,
}

fn main() {}
