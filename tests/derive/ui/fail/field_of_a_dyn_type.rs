use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    lines: Vec<Box<dyn std::fmt::Debug>>,
}

fn main() {}
