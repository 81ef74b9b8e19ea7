//! Each strategy against its documentation: where it promises so, merging two writers gives the result of the same
//! changes made one after the other.

#![expect(clippy::unwrap_used, reason = "helpers panic as tests do")]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt::Debug;
use std::time::Duration;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use session_runtime::__private::cbor;
use session_runtime::merge::{self, MergeEntries, MergeError, MergeFn, MergeUnion, ThreeWay};

fn bytes<T: Serialize>(value: &T) -> Vec<u8> {
    cbor::to_vec(value).unwrap()
}

fn try_merge<T: Serialize>(merge: MergeFn, base: &T, theirs: &T, ours: &T) -> Result<Vec<u8>, MergeError> {
    merge(&ThreeWay {
        base: &bytes(base),
        theirs: &bytes(theirs),
        ours: &bytes(ours),
    })
}

fn merged<T: Serialize + DeserializeOwned>(merge: MergeFn, base: &T, theirs: &T, ours: &T) -> T {
    cbor::from_slice(&try_merge(merge, base, theirs, ours).unwrap()).unwrap()
}

/// Asserts that merging two writers, in either order, results in `serial`.
fn assert_both_ways<T>(merge: MergeFn, base: &T, left: &T, right: &T, serial: &T)
where
    T: Serialize + DeserializeOwned + Debug + PartialEq,
{
    assert_eq!(&merged(merge, base, left, right), serial);
    assert_eq!(&merged(merge, base, right, left), serial);
}

fn strings(text: &str) -> Vec<String> {
    text.chars().map(String::from).collect()
}

fn united(base: &str, theirs: &str, ours: &str) -> String {
    merged(
        merge::union::<Vec<String>>,
        &strings(base),
        &strings(theirs),
        &strings(ours),
    )
    .concat()
}

mod lists;
mod maps;
mod numbers;
mod sets;

mod plain {
    use super::*;

    #[test]
    fn the_last_write_is_ours() {
        assert_eq!(merged(merge::last_write, &1, &2, &3), 3);
    }

    #[test]
    fn reject_is_a_rejection() {
        assert!(try_merge(merge::reject, &1, &2, &3).unwrap_err().is_rejected());
    }

    #[test]
    fn a_function_of_the_users_gets_all_three() {
        let digits: MergeFn = |values| merge::with::<u32>(values, |base, theirs, ours| base * 100 + theirs * 10 + ours);
        assert_eq!(merged(digits, &1, &2, &3), 123);
    }

    /// The table in merge.md.
    #[test]
    fn the_examples_of_the_page() {
        assert_eq!(
            merged(merge::last_write, &"a".to_owned(), &"b".to_owned(), &"c".to_owned()),
            "c"
        );
        assert_eq!(merged(merge::add::<u64>, &10, &13, &8), 11);
        assert_eq!(merged(merge::max::<u64>, &10, &40, &30), 40);
        assert_eq!(merged(merge::min::<u64>, &10, &4, &7), 4);
        let set = |text: &str| text.chars().collect::<BTreeSet<char>>();
        assert_eq!(
            merged(merge::union::<BTreeSet<char>>, &set("ab"), &set("abc"), &set("acd")),
            set("acd")
        );
        assert_eq!(united("ab", "abc", "bd"), "bcd");
        let map = |pairs: &[(char, u32)]| pairs.iter().copied().collect::<BTreeMap<char, u32>>();
        let entries = merge::entries::<BTreeMap<char, u32>>;
        let (base, theirs, ours) = (
            map(&[('x', 1), ('y', 1)]),
            map(&[('x', 2), ('y', 1)]),
            map(&[('x', 1), ('y', 3)]),
        );
        assert_eq!(merged(entries, &base, &theirs, &ours), map(&[('x', 2), ('y', 3)]));
        let add = merge::entries_add::<BTreeMap<char, u32>>;
        let (base, theirs, ours) = (map(&[('x', 1)]), map(&[('x', 2)]), map(&[('x', 4), ('y', 1)]));
        assert_eq!(merged(add, &base, &theirs, &ours), map(&[('x', 5), ('y', 1)]));
    }

    #[test]
    fn bytes_that_do_not_decode_are_an_error_but_no_rejection() {
        let strategies: [MergeFn; 7] = [
            merge::add::<u64>,
            merge::max::<u64>,
            merge::min::<u64>,
            merge::union::<Vec<u64>>,
            merge::entries::<BTreeMap<String, u64>>,
            merge::entries_add::<BTreeMap<String, u64>>,
            |values| merge::with::<u64>(values, |_, _, ours| ours),
        ];
        for strategy in strategies {
            for wrong in [
                &b""[..],
                b"\xff",
                b"\x63abc",
                b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
                b"\x81\x61a",
            ] {
                let error = strategy(&ThreeWay {
                    base: wrong,
                    theirs: wrong,
                    ours: wrong,
                })
                .unwrap_err();
                assert!(!error.is_rejected());
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(
        base in prop::collection::vec(any::<u8>(), 0..24),
        theirs in prop::collection::vec(any::<u8>(), 0..24),
        ours in prop::collection::vec(any::<u8>(), 0..24),
    ) {
        let values = ThreeWay { base: &base, theirs: &theirs, ours: &ours };
        let strategies: [MergeFn; 6] = [
            merge::add::<i128>,
            merge::max::<f32>,
            merge::union::<Vec<Option<String>>>,
            merge::union::<HashSet<i8>>,
            merge::entries::<HashMap<u8, Vec<u8>>>,
            merge::entries_add::<BTreeMap<i8, f32>>,
        ];
        for strategy in strategies {
            if let Ok(bytes) = strategy(&values) {
                prop_assert!(!bytes.is_empty());
            }
        }
    }
}
