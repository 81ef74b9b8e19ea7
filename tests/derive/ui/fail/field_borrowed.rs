use session_runtime::Session;

#[derive(Session)]
#[cascade(memcache)]
struct Shop {
    note: &'static str,
    lines: Vec<(u64, &'static [u8])>,
    path: Option<&'static std::path::Path>,
    // A function pointer holds no argument, so this is allowed.
    merge: std::marker::PhantomData<fn(&str)>,
}

fn handler(shop: &mut ShopFields) {
    shop.set_note("by hand");
}

fn main() {}
