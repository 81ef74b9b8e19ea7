#![no_implicit_prelude]

#[derive(::session_runtime::Session)]
#[session(version = 2, removed("old"))]
#[cascade(request, memcache, datastore)]
pub struct Shop {
    #[session(upgrade(1, widen))]
    visits: u64,
    #[session(merge = with)]
    note: ::std::option::Option<::std::string::String>,
    #[session(flash)]
    notices: ::std::vec::Vec<::std::string::String>,
    #[session(lazy, on_invalid = default)]
    basket: ::std::vec::Vec<u8>,
    #[session(default = 3)]
    three: u8,
}

fn widen(old: u8) -> ::std::result::Result<u64, ::std::convert::Infallible> {
    ::std::result::Result::Ok(::std::convert::From::from(old))
}

type Note = ::std::option::Option<::std::string::String>;

fn with(_: &Note, theirs: Note, _: Note) -> Note {
    theirs
}

fn main() {}
