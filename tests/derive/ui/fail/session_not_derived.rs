use session_runtime::TypedSession;

struct Shop {
    visits: u64,
}

async fn show(_: TypedSession<Shop>) {}

fn main() {}
