use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use session_runtime::Session;

#[derive(Clone, Default, Serialize, Deserialize)]
struct UserId(u64);

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Weight {
    #[session(owner)]
    kilograms: f64,
}

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Names {
    #[session(owner)]
    names: Option<HashSet<String>>,
}

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Shop {
    #[session(owner)]
    user: Option<UserId>,
}

fn main() {}
