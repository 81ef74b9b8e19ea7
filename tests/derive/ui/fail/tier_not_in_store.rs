use session_runtime::{ServedBy, Session};

struct OnlyMemcache;

impl<T> session_runtime::__private::session::HasMemcache<T> for OnlyMemcache {}

#[derive(Session)]
#[cascade(memcache, datastore)]
struct Shop {
    visits: u64,
}

fn extract<T: ServedBy<S>, S>(_: S) {}

fn main() {
    extract::<Shop, _>(OnlyMemcache);
}
