//! How long a session is kept, and its cookie.
use std::time::Duration;

use session_runtime::{Schema, Session};

#[derive(Session)]
#[session(idle = "15m", max_age = "12h")]
#[session(cookie(
    name = "s",
    same_site = strict,
    path = "/shop",
    domain = "example.com",
    http_only = false,
    partitioned
))]
#[cascade(memcache)]
struct Shop {
    visits: u64,
}

#[derive(Session)]
#[session(idle = "1d", max_age = "24h", cookie(same_site = none))]
#[cascade(memcache)]
struct Cart {
    visits: u64,
}

#[derive(Session)]
#[cascade(memcache)]
struct Plain {
    visits: u64,
}

const SHOP: &Schema = Shop::SCHEMA;

fn main() {
    assert_eq!((SHOP.name, SHOP.cookie.name), ("shop", Some("s")));
    assert_eq!(SHOP.idle, Some(Duration::from_secs(15 * 60)));
    assert_eq!(SHOP.max_age, Some(Duration::from_secs(12 * 60 * 60)));
    assert_eq!(SHOP.cookie.path, Some("/shop"));
    assert_eq!(SHOP.cookie.domain, Some("example.com"));
    assert_eq!((SHOP.cookie.http_only, SHOP.cookie.partitioned), (Some(false), Some(true)));
    assert_eq!(format!("{:?}", SHOP.cookie.same_site), "Some(Strict)");
    assert_eq!(format!("{:?}", Cart::SCHEMA.cookie.same_site), "Some(None)");
    let plain = Plain::SCHEMA;
    assert_eq!((plain.idle, plain.max_age, plain.cookie.name), (None, None, None));
}
