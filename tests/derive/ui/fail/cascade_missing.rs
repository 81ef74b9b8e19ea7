use session_runtime::Session;

#[derive(Session)]
struct Shop {
    visits: u64,
}

fn main() {}
