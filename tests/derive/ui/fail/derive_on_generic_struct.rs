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

fn handler(shop: &mut ShopFields<u8>) -> u8 {
    shop.set_item(1);
    shop.snapshot().item
}

fn main() {
    is_session::<Shop<u8>>();
}
