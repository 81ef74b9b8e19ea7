use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
enum Shop {
    Open,
}

fn is_session<T: Session>() {}

fn main() {
    is_session::<Shop>();
}
