use session_runtime::{Detached, Session};

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    visits: u64,
    #[session(privileged)]
    user: Option<u64>,
}

fn stream(shop: &mut Detached<Shop>) {
    *shop.visits_mut() += 1;
    if shop.user().is_some() {
        shop.set_user(None);
        *shop.user_mut() = None;
    }
}

fn main() {}
