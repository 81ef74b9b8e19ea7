use session_runtime::Session;

#[derive(Session)]
#[session(name = shop, version = "2", removed = "old", previous = 1)]
#[cascade(memcache)]
struct Shop {
    #[session(default)]
    a: u8,
    #[session(default =)]
    b: u8,
    #[session(privileged = true)]
    c: u8,
    #[session(upgrade = f)]
    d: u8,
    #[session(upgrade(f, 1))]
    e: u8,
    #[session(on_invalid = reject)]
    f: u8,
    #[session(accessor = "two words")]
    g: u8,
    #[session(was = old)]
    h: u8,
    #[session]
    i: u8,
    #[session(merge = add lazy, secret)]
    j: u8,
    #[session("merge", secret, secret)]
    k: u8,
}

fn main() {}
