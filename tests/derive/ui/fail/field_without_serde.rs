use session_runtime::Session;

#[derive(Default)]
struct Line;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    lines: Vec<Line>,
}

fn handler(shop: &mut ShopFields) {
    shop.lines_mut().push(Line);
}

fn main() {}
