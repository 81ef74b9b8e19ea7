#[derive(session_runtime::Session)]
#[session(version = 2, fingerprint = 0x96ea1c45c78a04a5)]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

fn main() {
    // No trait is in scope.
    assert_eq!(Shop::TIERS.bits().count_ones(), 1);
}
