use session_runtime::{CascadeStore, DeviceId, Session, TypedSession};

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Shop {
    #[session(privileged)]
    user: Option<u64>,
}

async fn end_all(store: CascadeStore) {
    let _ = store.owner::<Shop>(&7).end_all().await;
}

fn device(shop: &TypedSession<Shop>) -> Option<DeviceId> {
    shop.device_id()
}

fn main() {}
