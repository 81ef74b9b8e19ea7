mod inner {
    use session_runtime::Session;

    #[derive(Session)]
    #[cascade(memcache)]
    pub struct Shop {
        pub visits: u64,
        secret: u64,
        #[session(lazy)]
        history: Vec<u64>,
        #[session(flash)]
        notices: Vec<String>,
    }
}

fn handler(shop: &mut inner::ShopFields) {
    shop.set_visits(1);
    shop.set_secret(1);
    let _ = shop.history();
    shop.push_notices(String::new());
}

fn main() {}
