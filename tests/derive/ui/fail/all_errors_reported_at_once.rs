use session_runtime::{ServedBy, Session};

#[derive(Session)]
#[session(name = "my shop", version = 0)]
#[cascade(memcached)]
struct Shop {
    #[session(merge = sum())]
    visits: u64,
    #[session(privileged, privileged)]
    user: Option<u64>,
    commit: bool,
    /// Without a mistake.
    note: Option<String>,
}

// The accessors are generated all the same, and the struct is a session: no further error here.
fn handler(shop: &mut ShopFields) -> Option<String> {
    shop.set_user(Some(1));
    *shop.visits_mut() += 1;
    shop.note().clone()
}

fn extract<T: ServedBy<S>, S>(_: S) -> T::Fields {
    T::with_defaults()
}

fn main() {
    handler(&mut extract::<Shop, _>(()));
}
