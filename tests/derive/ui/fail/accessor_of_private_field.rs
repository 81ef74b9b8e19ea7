mod inner {
    use session_runtime::Session;

    #[derive(Session)]
    #[cascade(memcache)]
    pub struct Shop {
        pub visits: u64,
        secret: u64,
    }
}

fn handler(shop: &mut inner::ShopFields) {
    shop.set_visits(1);
    shop.set_secret(1);
}

fn main() {}
