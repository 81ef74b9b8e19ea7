//! Encoding and decoding of a cart of ten fields, compared with other libraries:
//! `cargo bench -p session-tests --bench codec`.
//!
//! `fields` encodes each field separately, as a session does, and `whole` the whole struct. Compare within one run only.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a benchmark that fails has no result"
)]

mod cart;

use std::hint::black_box;

use cart::{Cart, cart};
use divan::Bencher;
use serde::de::DeserializeOwned;
use session_runtime::__private::cbor;

fn main() {
    eprintln!("the cart is {} bytes of CBOR", cbor::to_vec(&cart()).unwrap().len());
    divan::main();
}

/// Calls `$call!(field)` for each field.
macro_rules! each_field {
    ($call:ident) => {
        $call!(user);
        $call!(currency);
        $call!(lines);
        $call!(note);
        $call!(coupon);
        $call!(gift);
        $call!(discount);
        $call!(seen);
        $call!(address);
        $call!(visits);
    };
}

fn fields(cart: &Cart) -> [Vec<u8>; 10] {
    let mut all = Vec::new();
    macro_rules! encode {
        ($field:ident) => {
            all.push(cbor::to_vec(&cart.$field).unwrap());
        };
    }
    each_field!(encode);
    all.try_into().unwrap()
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> T {
    cbor::from_slice(bytes).unwrap()
}

fn from_fields(bytes: &[Vec<u8>; 10]) -> Cart {
    let [
        user,
        currency,
        lines,
        note,
        coupon,
        gift,
        discount,
        seen,
        address,
        visits,
    ] = bytes;
    Cart {
        user: read(user),
        currency: read(currency),
        lines: read(lines),
        note: read(note),
        coupon: read(coupon),
        gift: read(gift),
        discount: read(discount),
        seen: read(seen),
        address: read(address),
        visits: read(visits),
    }
}

/// Measures one way of encoding.
fn measure(bencher: Bencher<'_, '_>, encode: impl Fn(&Cart) -> Vec<u8> + Sync) {
    let cart = cart();
    bencher.bench(|| encode(black_box(&cart)));
}

#[divan::bench(sample_count = 300, sample_size = 64)]
fn a_clone_of_the_struct(bencher: Bencher<'_, '_>) {
    let cart = cart();
    bencher.bench(|| black_box(&cart).clone());
}

#[divan::bench_group(sample_count = 300, sample_size = 64)]
mod encode {
    use super::{Bencher, black_box, cart, cbor, fields, measure};

    #[divan::bench]
    fn ours_fields_apart(bencher: Bencher<'_, '_>) {
        let cart = cart();
        bencher.bench(|| fields(black_box(&cart)));
    }

    #[divan::bench]
    fn ours_fields_into_one_buffer(bencher: Bencher<'_, '_>) {
        let cart = cart();
        bencher.bench(|| {
            let cart = black_box(&cart);
            let mut out = Vec::with_capacity(512);
            macro_rules! encode {
                ($field:ident) => {
                    cbor::append(&cart.$field, &mut out).unwrap();
                };
            }
            each_field!(encode);
            out
        });
    }

    #[divan::bench]
    fn ours_whole(bencher: Bencher<'_, '_>) {
        measure(bencher, |cart| cbor::to_vec(cart).unwrap());
    }

    #[divan::bench]
    fn ciborium_fields_apart(bencher: Bencher<'_, '_>) {
        let cart = cart();
        bencher.bench(|| {
            let cart = black_box(&cart);
            let mut all: Vec<Vec<u8>> = Vec::new();
            macro_rules! encode {
                ($field:ident) => {
                    all.push(Vec::new());
                    ciborium::into_writer(&cart.$field, all.last_mut().unwrap()).unwrap();
                };
            }
            each_field!(encode);
            all
        });
    }

    #[divan::bench]
    fn ciborium_whole(bencher: Bencher<'_, '_>) {
        measure(bencher, |cart| {
            let mut out = Vec::new();
            ciborium::into_writer(cart, &mut out).unwrap();
            out
        });
    }

    #[divan::bench]
    fn cbor4ii_whole(bencher: Bencher<'_, '_>) {
        measure(bencher, |cart| cbor4ii::serde::to_vec(Vec::new(), cart).unwrap());
    }

    #[divan::bench]
    fn minicbor_derive(bencher: Bencher<'_, '_>) {
        measure(bencher, |cart| minicbor::to_vec(cart).unwrap());
    }

    #[divan::bench]
    fn minicbor_serde_whole(bencher: Bencher<'_, '_>) {
        measure(bencher, |cart| minicbor_serde::to_vec(cart).unwrap());
    }

    #[divan::bench]
    fn postcard_whole(bencher: Bencher<'_, '_>) {
        measure(bencher, |cart| postcard::to_stdvec(cart).unwrap());
    }

    #[divan::bench]
    fn tower_sessions_path(bencher: Bencher<'_, '_>) {
        measure(bencher, |cart| {
            let value = serde_json::to_value(cart).unwrap();
            rmp_serde::to_vec(&value).unwrap()
        });
    }
}

#[divan::bench_group(sample_count = 300, sample_size = 64)]
mod decode {
    use super::{Bencher, Cart, black_box, cart, cbor, fields, from_fields};

    #[divan::bench]
    fn ours_fields_apart(bencher: Bencher<'_, '_>) {
        let bytes = fields(&cart());
        assert_eq!(from_fields(&bytes), cart());
        bencher.bench(|| from_fields(black_box(&bytes)));
    }

    #[divan::bench]
    fn ours_whole(bencher: Bencher<'_, '_>) {
        let bytes = cbor::to_vec(&cart()).unwrap();
        bencher.bench(|| cbor::from_slice::<Cart>(black_box(&bytes)).unwrap());
    }

    #[divan::bench]
    fn ciborium_whole(bencher: Bencher<'_, '_>) {
        let bytes = cbor::to_vec(&cart()).unwrap();
        bencher.bench(|| ciborium::from_reader::<Cart, _>(black_box(&bytes[..])).unwrap());
    }

    #[divan::bench]
    fn cbor4ii_whole(bencher: Bencher<'_, '_>) {
        let bytes = cbor4ii::serde::to_vec(Vec::new(), &cart()).unwrap();
        bencher.bench(|| cbor4ii::serde::from_slice::<Cart>(black_box(&bytes)).unwrap());
    }

    #[divan::bench]
    fn minicbor_derive(bencher: Bencher<'_, '_>) {
        let bytes = minicbor::to_vec(cart()).unwrap();
        bencher.bench(|| minicbor::decode::<Cart>(black_box(&bytes)).unwrap());
    }

    #[divan::bench]
    fn minicbor_serde_whole(bencher: Bencher<'_, '_>) {
        let bytes = minicbor_serde::to_vec(cart()).unwrap();
        bencher.bench(|| minicbor_serde::from_slice::<Cart>(black_box(&bytes)).unwrap());
    }

    #[divan::bench]
    fn postcard_whole(bencher: Bencher<'_, '_>) {
        let bytes = postcard::to_stdvec(&cart()).unwrap();
        bencher.bench(|| postcard::from_bytes::<Cart>(black_box(&bytes)).unwrap());
    }

    #[divan::bench]
    fn tower_sessions_path(bencher: Bencher<'_, '_>) {
        let bytes = rmp_serde::to_vec(&serde_json::to_value(cart()).unwrap()).unwrap();
        bencher.bench(|| {
            let value: serde_json::Value = rmp_serde::from_slice(black_box(&bytes)).unwrap();
            serde_json::from_value::<Cart>(value).unwrap()
        });
    }
}
