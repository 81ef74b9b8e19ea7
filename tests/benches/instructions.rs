//! Code paths whose instructions are counted: `.ci/instructions` runs each of them under callgrind.
//!
//! The MAC is not counted, since SHA-256 uses the instructions that the processor has.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a benchmark that fails has no result"
)]

mod cart;

use std::hint::black_box;
use std::process::ExitCode;

use cart::{Eager, Lazy, cached, changed, commit, stored, stored_lazy};
use session_runtime::__private::cascade::item;
use session_runtime::__private::cascade::protocol::Item;
use session_runtime::__private::session::changes::Changes;
use session_runtime::__private::session::record::Record;
use session_runtime::Session;

/// How often a path is run. `.ci/instructions` divides by it.
const ROUNDS: u32 = 1000;

fn main() -> ExitCode {
    let path = std::env::args().nth(1).unwrap_or_default();
    match path.as_str() {
        "open_change_one_write" => {
            let bytes = stored_lazy();
            count(|| {
                let record = Record::decode(black_box(&bytes)).unwrap();
                let mut fields = Lazy::open(&record).unwrap();
                *fields.visits_mut().unwrap() += 1;
                drop(black_box(commit::<Lazy>(&record, &fields)));
            });
        }
        "decode_all" => {
            let bytes = stored();
            count(|| drop(black_box(Eager::open(&Record::decode(black_box(&bytes)).unwrap()))));
        }
        "encode_all" => {
            let (record, fields) = changed();
            count(|| drop(black_box(commit::<Eager>(black_box(&record), black_box(&fields)))));
        }
        "nothing_changed" => {
            let fields = Eager::open(&Record::decode(&stored()).unwrap()).unwrap();
            count(|| assert!(Changes::collect::<Eager>(black_box(&fields)).unwrap().is_empty()));
        }
        "load_hit" => {
            let bytes = cached();
            count(|| {
                let Some(Item::Value { record, .. }) = item::decode(black_box(&bytes)) else {
                    unreachable!("the cached item is a value")
                };
                drop(black_box(Lazy::open(&record)));
            });
        }
        // Cargo passes no path when it runs all benchmarks.
        "" | "--bench" => {}
        other => {
            eprintln!("there is no path `{other}`");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Runs a path a few times uncounted, for its one-time initialization, and then counted.
fn count(mut path: impl FnMut()) {
    for _ in 0..3 {
        path();
    }
    counted(&mut path);
}

/// Callgrind counts the instructions in this function.
#[inline(never)]
fn counted(path: &mut dyn FnMut()) {
    for _ in 0..ROUNDS {
        path();
    }
}
