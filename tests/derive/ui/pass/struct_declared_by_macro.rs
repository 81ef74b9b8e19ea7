//! Every argument of the derive, captured by a macro.
#![deny(warnings)]

use session_runtime::Session;

macro_rules! session {
    (
        $(#[$meta:meta])*
        $vis:vis $name:ident, $cookie:literal, $version:expr, $previous:path, $runtime:path, [$($tier:ident)*],
        { $($(#[$on:meta])* $of:vis $field:ident: $ty:ty = $default:expr,)* }
        merged with $merge:expr, $merge_fn:path, once $was:literal, now $accessor:literal
    ) => {
        $(#[$meta])*
        #[derive(Session)]
        #[session(name = $cookie, version = $version, previous = $previous, crate = $runtime)]
        #[cascade($($tier),*)]
        $vis struct $name {
            $($(#[$on])* #[session(default = $default)] $of $field: $ty,)*
            #[session(merge = $merge, was = $was, accessor = $accessor)]
            merged: u64,
            #[session(merge = $merge_fn)]
            by_function: u64,
            #[session(flash)]
            notices: Vec<String>,
        }

        impl From<$previous> for $name {
            fn from(_: $previous) -> Self {
                <Self as Session>::with_defaults().snapshot().unwrap_or_else(|_| unreachable!())
            }
        }
    };
}

#[derive(Session)]
#[session(name = "made", version = 2)]
#[cascade(datastore)]
struct Before {
    unused: u8,
}

fn first(_: &u64, theirs: u64, _: u64) -> u64 {
    theirs
}

session! {
    /// Made.
    #[derive(Debug)]
    pub(crate) Made, "made", 3, self::Before, session_runtime, [memcache datastore],
    {
        /// Documented.
        #[session(lazy)]
        pub field: Vec<u8> = vec![1],
        tuple: (u8, [u8; 2]) = (1, [2, 3]),
    }
    merged with add, self::first, once "united", now "sum"
}

fn main() {
    let mut made = Made::with_defaults();
    assert_eq!(made.field().unwrap(), &[1]);
    *made.sum_mut() += 1;
    made.set_tuple((0, [0; 2]));
    made.push_notices(String::new());
    let Before { unused: 0 } = Before::with_defaults().snapshot() else { unreachable!() };
    println!("{:?} {:?}", made.by_function(), made.snapshot());
}
