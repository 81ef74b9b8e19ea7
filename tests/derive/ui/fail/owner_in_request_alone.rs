use session_runtime::Session;

#[derive(Session)]
#[cascade(request)]
struct Shop {
    #[session(owner)]
    user: Option<u64>,
}

fn main() {}
