use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop<T> {
    item: T,
}

#[derive(Session)]
#[cascade(memcache)]
struct Cart<'a> {
    item: &'a str,
}

fn is_session<T: Session>() {}

fn main() {
    is_session::<Shop<u8>>();
}
