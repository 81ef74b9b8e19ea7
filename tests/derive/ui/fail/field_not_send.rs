use session_runtime::Session;
use std::cell::RefCell;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    visits: RefCell<u64>,
}

fn main() {}
