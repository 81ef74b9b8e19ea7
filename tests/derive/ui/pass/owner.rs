//! Types that may name an owner, and what an owner is looked up by.
#![deny(warnings)]

use serde::{Deserialize, Serialize};
use session_runtime::{CascadeStore, OwnerId, Session};

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct UserId([u8; 16]);

impl OwnerId for UserId {}

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Shop {
    #[session(owner)]
    user: Option<UserId>,
}

#[derive(Session)]
#[cascade(memcache)]
struct Named {
    #[session(owner, privileged, lazy, was = "name")]
    login: String,
}

#[derive(Session)]
#[cascade(request, datastore)]
struct Numbered {
    #[session(owner, secret)]
    number: u64,
    // Of a session without this owner it is an accessor as any other.
    #[session(accessor = "device_number")]
    device_id: u64,
}

async fn end_all(store: CascadeStore) {
    let _ = store.owner::<Shop>(&UserId([7; 16])).end_all().await;
    let _ = store.owner::<Named>("ada").end_all().await;
    let _ = store.owner::<Named>(&"ada".to_owned()).end_all().await;
    let _ = store.owner::<Numbered>(&7).end_all().await;
}

fn main() {
    let _ = end_all;
}
