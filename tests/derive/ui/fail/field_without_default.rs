use serde::{Deserialize, Serialize};
use session_runtime::Session;

#[derive(Serialize, Deserialize)]
enum Currency {
    Euro,
}

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    currency: Currency,
}

fn main() {}
