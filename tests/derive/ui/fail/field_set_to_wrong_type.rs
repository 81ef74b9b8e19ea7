use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

fn handler(shop: &mut ShopFields) {
    shop.set_visits("three");
    *shop.visits_mut() = "three";
}

fn main() {}
