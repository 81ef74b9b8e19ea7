mod deps {
    pub mod web {
        pub use session_runtime as sessions;
    }
}

use deps::web::sessions::Session;

#[derive(Session)]
#[session(crate = crate::deps::web::sessions)]
#[cascade(datastore)]
pub struct Shop {
    #[session(merge = max)]
    visits: u64,
}

#[derive(Session)]
#[session(crate = deps::web::sessions, version = 2, previous = Shop)]
#[cascade(datastore)]
pub struct Cart {
    visits: u64,
}

impl From<Shop> for Cart {
    fn from(old: Shop) -> Self {
        Self { visits: old.visits }
    }
}

fn main() {}
