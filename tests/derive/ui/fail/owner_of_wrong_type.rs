use session_runtime::{CascadeStore, Session};

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Shop {
    #[session(owner)]
    user: Option<u64>,
}

async fn end_all(store: CascadeStore) {
    let _ = store.owner::<Shop>(&7).end_all().await;
    let _ = store.owner::<Shop>("seven").end_all().await;
}

fn main() {}
