#![allow(dead_code, non_camel_case_types, non_snake_case)]

use session_runtime::Session as Derive;

struct Result;
struct Option;
struct Vec;
struct String;
struct Some;
struct None;
struct Ok;
struct Err;
struct Box;
struct Slot;
struct Field;
struct Record;
struct Schema;
struct Session;
struct Tiers;
struct Default;
struct __S;
trait Clone {}
trait Into {}
trait Send {}
mod core {}
mod std {}
mod bytes {}
mod session {}

#[derive(Derive)]
#[session(version = 2)]
#[cascade(memcache, datastore)]
struct Shop {
    #[session(upgrade(1, version))]
    value: u8,
    version: u32,
    bytes: u8,
    record: u8,
    fields: u8,
    index: u8,
    schema: u8,
    previous: u8,
    f: u8,
    #[session(accessor = "kind")]
    r#type: u8,
    r#match: u8,
    #[session(flash)]
    messages: ::std::vec::Vec<u8>,
    #[session(lazy)]
    slot: u8,
    get: u8,
    UPPER: u8,
    upper: u8,
}

fn version(old: u16) -> ::std::result::Result<u8, ::std::num::TryFromIntError> {
    ::std::convert::TryFrom::try_from(old)
}

fn main() {
    let mut shop = <Shop as Derive>::with_defaults();
    shop.set_match(1);
    assert!(*shop.r#match() == 1);
    assert!(*shop.kind() == 0);
    shop.set_slot(2);
}
