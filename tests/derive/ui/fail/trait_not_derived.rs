use session_runtime::Session;

struct Shop;

fn is_session<T: Session>() {}

fn main() {
    is_session::<Shop>();
}
