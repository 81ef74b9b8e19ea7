//! Each strategy against what it promises: where it says so, merging two writers gives what the same changes give one
//! after the other.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use session_runtime::codec::cbor;
use session_runtime::merge::{self, MergeEntries, MergeError, MergeFn, MergeUnion, Three};

fn bytes<T: Serialize>(value: &T) -> Vec<u8> {
    cbor::to_vec(value).unwrap()
}

fn try_merge<T: Serialize>(merge: MergeFn, base: &T, theirs: &T, ours: &T) -> Result<Bytes, MergeError> {
    merge(&Three {
        base: &bytes(base),
        theirs: &bytes(theirs),
        ours: &bytes(ours),
    })
}

fn merged<T: Serialize + DeserializeOwned>(merge: MergeFn, base: &T, theirs: &T, ours: &T) -> T {
    cbor::from_slice(&try_merge(merge, base, theirs, ours).unwrap()).unwrap()
}

/// Asserts that two writers, in either order, end where `serial` is.
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

mod plain {
    use super::*;

    #[test]
    fn the_last_write_is_ours() {
        assert_eq!(merged(merge::last_write, &1, &2, &3), 3);
    }

    #[test]
    fn reject_says_that_it_rejects() {
        assert!(try_merge(merge::reject, &1, &2, &3).unwrap_err().is_rejected());
    }

    #[test]
    fn a_function_of_the_users_gets_all_three() {
        let digits: MergeFn = |three| merge::with::<u32>(three, |base, theirs, ours| base * 100 + theirs * 10 + ours);
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
    fn bytes_that_do_not_decode_are_an_error_that_is_no_rejection() {
        let strategies: [MergeFn; 7] = [
            merge::add::<u64>,
            merge::max::<u64>,
            merge::min::<u64>,
            merge::union::<Vec<u64>>,
            merge::entries::<BTreeMap<String, u64>>,
            merge::entries_add::<BTreeMap<String, u64>>,
            |three| merge::with::<u64>(three, |_, _, ours| ours),
        ];
        for strategy in strategies {
            for wrong in [
                &b""[..],
                b"\xff",
                b"\x63abc",
                b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
                b"\x81\x61a",
            ] {
                let error = strategy(&Three {
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

mod numbers {
    use super::*;

    /// Sign and magnitude of `theirs + ours - base`, or of the nearest `i128`, summed in two halves of 64 bits.
    fn exact(theirs: i128, ours: i128, base: i128) -> (bool, u128) {
        // Each as hi * 2^64 + lo, with 0 <= lo < 2^64: the sums of the halves fit with room to spare.
        let split = |n: i128| (n >> 64, n & i128::from(u64::MAX));
        let [theirs, ours, base] = [theirs, ours, base].map(split);
        let (high, low) = (theirs.0 + ours.0 - base.0, theirs.1 + ours.1 - base.1);
        let (high, low) = (high + (low >> 64), low & i128::from(u64::MAX));
        if high >= 1 << 63 {
            (false, i128::MAX.unsigned_abs())
        } else if high < -(1 << 63) {
            (true, i128::MIN.unsigned_abs())
        } else {
            let sum = (high << 64) | low;
            (sum < 0, sum.unsigned_abs())
        }
    }

    fn edgy_i128() -> impl Strategy<Value = i128> {
        prop_oneof![
            any::<i128>(),
            (-3..4_i128),
            (0..3_i128).prop_map(|n| i128::MAX - n),
            (0..3_i128).prop_map(|n| i128::MIN + n),
            (-3..4_i128).prop_map(|n| n + (1 << 64)),
        ]
    }

    fn edgy_u128() -> impl Strategy<Value = u128> {
        prop_oneof![any::<u128>(), 0..4_u128, (0..4_u128).prop_map(|n| u128::MAX - n)]
    }

    macro_rules! exact_in_i128 {
        ($($number:ident)*) => {$(
            proptest! {
                #[test]
                fn $number(
                    base in prop_oneof![any::<$number>(), Just($number::MIN), Just($number::MAX)],
                    theirs in prop_oneof![any::<$number>(), Just($number::MIN), Just($number::MAX)],
                    ours in prop_oneof![any::<$number>(), Just($number::MIN), Just($number::MAX)],
                ) {
                    let wide = |n: $number| i128::try_from(n).unwrap();
                    let sum = wide(theirs) + wide(ours) - wide(base);
                    let sum = sum.clamp(wide($number::MIN), wide($number::MAX));
                    prop_assert_eq!(wide(merged(merge::add::<$number>, &base, &theirs, &ours)), sum);
                }
            }
        )*};
    }

    mod add_is_exact_or_the_nearest {
        use super::*;
        exact_in_i128!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);
    }

    proptest! {
        #[test]
        fn add_is_exact_or_the_nearest_i128(base in edgy_i128(), theirs in edgy_i128(), ours in edgy_i128()) {
            let sum = merged(merge::add::<i128>, &base, &theirs, &ours);
            prop_assert_eq!((sum < 0, sum.unsigned_abs()), exact(theirs, ours, base));
        }

        #[test]
        fn add_is_exact_or_the_nearest_u128(base in edgy_u128(), theirs in edgy_u128(), ours in edgy_u128()) {
            let (sum, carried) = theirs.overflowing_add(ours);
            let nearest = match (carried, sum >= base) {
                (false, _) => sum.saturating_sub(base),
                (true, true) => u128::MAX,
                // 2^128 + sum - base.
                (true, false) => u128::MAX - (base - sum) + 1,
            };
            prop_assert_eq!(merged(merge::add::<u128>, &base, &theirs, &ours), nearest);
        }

        #[test]
        fn three_adders_in_any_order(base in -1000..1000_i64, changes in prop::array::uniform3(-1000..1000_i64)) {
            let serial = base + changes.iter().sum::<i64>();
            for [a, b, c] in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                let stored = merged(merge::add::<i64>, &base, &(base + changes[a]), &(base + changes[b]));
                prop_assert_eq!(merged(merge::add::<i64>, &base, &stored, &(base + changes[c])), serial);
            }
        }

        #[test]
        fn risers_and_fallers_in_either_order(base in any::<i32>(), left in any::<i32>(), right in any::<i32>()) {
            let (up, down) = ([base.max(left), base.max(right)], [base.min(left), base.min(right)]);
            assert_both_ways(merge::max::<i32>, &base, &up[0], &up[1], &up[0].max(right));
            assert_both_ways(merge::min::<i32>, &base, &down[0], &down[1], &down[0].min(right));
        }

        #[test]
        fn floats_that_are_finite_stay_so(base in finite(), theirs in finite(), ours in finite()) {
            prop_assert!(merged(merge::add::<f64>, &base, &theirs, &ours).is_finite());
        }

        #[test]
        fn floats_that_need_no_rounding_are_serial(base in any::<i32>(), left in any::<i32>(), right in any::<i32>()) {
            let (base, left, right) = (f64::from(base), f64::from(left), f64::from(right));
            assert_both_ways(merge::add::<f64>, &base, &(base + left), &(base + right), &(base + left + right));
        }
    }

    fn finite() -> impl Strategy<Value = f64> {
        use prop::num::f64::{NEGATIVE, NORMAL, POSITIVE, ZERO};
        prop_oneof![
            -1e6..1e6_f64,
            POSITIVE | NEGATIVE | NORMAL | ZERO,
            Just(f64::MAX),
            Just(f64::MIN)
        ]
    }

    #[test]
    fn durations_add_up_and_stop_at_their_limits() {
        let seconds = Duration::from_secs;
        assert_eq!(
            merged(merge::add::<Duration>, &seconds(5), &seconds(7), &seconds(4)),
            seconds(6)
        );
        assert_eq!(
            merged(merge::add::<Duration>, &seconds(5), &seconds(1), &seconds(0)),
            Duration::ZERO
        );
        assert_eq!(
            merged(merge::add::<Duration>, &seconds(0), &seconds(1), &Duration::MAX),
            Duration::MAX
        );
    }

    #[test]
    fn floats_at_the_edge() {
        let (max, min, inf, nan) = (f64::MAX, f64::MIN, f64::INFINITY, f64::NAN);
        let cases = [
            // The difference overflows, the sum does not.
            (min, min, max, max),
            (max, max, min, min),
            (0.0, max, max, max),
            (0.0, min, min, min),
            // A write of what is no number stands, whichever comes second.
            (1.0, 2.0, inf, inf),
            (1.0, inf, 2.0, inf),
            (1.0, 2.0, nan, nan),
            (1.0, nan, 2.0, nan),
            (1.0, -inf, inf, inf),
            // From what is no number, a change is a plain write.
            (inf, inf, 3.0, 3.0),
            (inf, 3.0, inf, 3.0),
            (nan, nan, 3.0, 3.0),
            (nan, 3.0, nan, 3.0),
            (nan, 3.0, 4.0, 4.0),
        ];
        for (base, theirs, ours, expected) in cases {
            let sum = merged(merge::add::<f64>, &base, &theirs, &ours);
            assert!(
                sum.total_cmp(&expected).is_eq() || (sum.is_nan() && expected.is_nan()),
                "{base} {theirs} {ours}: {sum}"
            );
        }
    }

    #[test]
    fn what_does_not_compare_gives_way() {
        for strategy in [merge::max::<f64>, merge::min::<f64>] {
            assert_both_ways(strategy, &1.0, &f64::NAN, &2.0, &2.0);
            assert!(merged(strategy, &1.0, &f64::NAN, &f64::NAN).is_nan());
        }
        assert_both_ways(merge::max::<f64>, &1.0, &f64::INFINITY, &2.0, &f64::INFINITY);
        assert_both_ways(merge::min::<Option<u8>>, &Some(3), &Some(1), &None, &None);
        assert_both_ways(merge::max::<Option<u8>>, &None, &Some(1), &None, &Some(1));
    }

    #[test]
    fn of_two_that_do_not_compare_ours_is_taken() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Set(u8);
        impl PartialOrd for Set {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                match (self.0 | other.0 == self.0, self.0 | other.0 == other.0) {
                    (true, true) => Some(std::cmp::Ordering::Equal),
                    (true, false) => Some(std::cmp::Ordering::Greater),
                    (false, true) => Some(std::cmp::Ordering::Less),
                    (false, false) => None,
                }
            }
        }
        assert_both_ways(merge::max::<Set>, &Set(0), &Set(1), &Set(3), &Set(3));
        assert_eq!(merged(merge::max::<Set>, &Set(0), &Set(1), &Set(2)), Set(2));
        assert_eq!(
            merged(merge::max::<(f64, u8)>, &(0.0, 0), &(f64::NAN, 2), &(f64::NAN, 1)).1,
            1
        );
    }
}

mod lists {
    use super::*;

    /// What one request does to a list.
    #[derive(Clone, Debug)]
    enum Change {
        PushFront(u8),
        PushBack(u8),
        PopFront,
    }

    fn apply(list: &VecDeque<u8>, changes: &[Change]) -> VecDeque<u8> {
        let mut list = list.clone();
        for change in changes {
            match change {
                Change::PushFront(item) => list.push_front(*item),
                Change::PushBack(item) => list.push_back(*item),
                Change::PopFront => drop(list.pop_front()),
            }
        }
        list
    }

    fn sorted(list: impl IntoIterator<Item = u8>) -> Vec<u8> {
        let mut list: Vec<_> = list.into_iter().collect();
        list.sort_unstable();
        list
    }

    fn pushes(of: fn(u8) -> Change) -> impl Strategy<Value = Vec<Change>> {
        prop::collection::vec((0..6_u8).prop_map(of), 0..5)
    }

    fn items() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(0..6_u8, 0..8)
    }

    proptest! {
        #[test]
        fn copies_are_counted(base in items(), theirs in items(), ours in items()) {
            let result = merged(merge::union::<Vec<u8>>, &base, &theirs, &ours);
            for item in 0..6 {
                let of = |list: &[u8]| list.iter().copied().filter(|other| *other == item).count();
                let (gain, loss) = (of(&ours).saturating_sub(of(&base)), of(&base).saturating_sub(of(&ours)));
                prop_assert_eq!(of(&result), of(&theirs).saturating_sub(loss) + gain);
            }
        }

        #[test]
        fn which_items_does_not_depend_on_who_comes_second(base in items(), left in items(), right in items()) {
            let forth = merged(merge::union::<Vec<u8>>, &base, &left, &right);
            let back = merged(merge::union::<Vec<u8>>, &base, &right, &left);
            prop_assert_eq!(sorted(forth), sorted(back));
        }

        #[test]
        fn one_writer_alone_is_kept_as_it_is(base in items(), changed in items()) {
            prop_assert_eq!(&merged(merge::union::<Vec<u8>>, &base, &changed, &base), &changed);
            prop_assert_eq!(&merged(merge::union::<Vec<u8>>, &base, &base, &changed), &changed);
        }

        #[test]
        fn pushes_at_the_end_are_serial(base in items(), theirs in pushes(Change::PushBack), ours in pushes(Change::PushBack)) {
            let base = VecDeque::from(base);
            let stored = apply(&base, &theirs);
            let result = merged(merge::union::<VecDeque<u8>>, &base, &stored, &apply(&base, &ours));
            prop_assert_eq!(result, apply(&stored, &ours));
        }

        #[test]
        fn pushes_at_the_front_are_serial(
            base in prop::collection::btree_set(10..20_u8, 1..6),
            theirs in pushes(Change::PushFront),
            ours in pushes(Change::PushFront),
        ) {
            let base: VecDeque<u8> = base.into_iter().collect();
            let stored = apply(&base, &theirs);
            let result = merged(merge::union::<VecDeque<u8>>, &base, &stored, &apply(&base, &ours));
            prop_assert_eq!(result, apply(&stored, &ours));
        }

        #[test]
        fn a_queue_is_serial(base in prop::collection::vec(0..3_u8, 1..6), pops in 0..4_usize, ours in pushes(Change::PushBack)) {
            let base = VecDeque::from(base);
            let stored = apply(&base, &vec![Change::PopFront; pops.min(base.len())]);
            let pushed = apply(&base, &ours);
            let serial = apply(&stored, &ours);
            prop_assert_eq!(&merged(merge::union::<VecDeque<u8>>, &base, &stored, &pushed), &serial);
            prop_assert_eq!(&merged(merge::union::<VecDeque<u8>>, &base, &pushed, &stored), &serial);
        }
    }

    #[test]
    fn order() {
        for (base, theirs, ours, expected) in [
            ("ab", "abc", "bd", "bcd"),
            ("", "x", "y", "xy"),
            ("ab", "yab", "xab", "xyab"),
            // Ours goes behind what it followed; to the end, before what is at the end, where that is gone.
            ("abc", "abcd", "axbc", "axbcd"),
            ("abc", "bcd", "axbc", "bcdx"),
            ("abc", "bcd", "axbcy", "bcdxy"),
            // Reordered by one: that order, whichever one.
            ("abc", "abcd", "cba", "cbad"),
            ("abc", "cba", "abcd", "cbad"),
            // By both: theirs.
            ("abc", "bac", "cba", "bac"),
            // Of two copies, that at the end went, or that at the front.
            ("aba", "abac", "ab", "abc"),
            ("aba", "abac", "ba", "bac"),
            ("aba", "abac", "xab", "xabc"),
            // Both took a copy of it out.
            ("aa", "a", "a", ""),
            ("a", "", "", ""),
            // Both changed an item in place: both versions stay.
            ("abc", "axc", "ayc", "ayxc"),
        ] {
            assert_eq!(united(base, theirs, ours), expected, "{base} {theirs} {ours}");
        }
    }

    #[test]
    fn items_need_no_equality_and_may_hold_maps() {
        #[derive(Clone, Serialize, Deserialize)]
        struct Line {
            sizes: HashMap<String, f64>,
        }
        let line = |from: u8| Line {
            sizes: (from..from + 40).map(|n| (n.to_string(), f64::NAN)).collect(),
        };
        let (base, theirs, ours) = (vec![line(1), line(2)], vec![line(1), line(2), line(3)], vec![line(2)]);
        let result = merged(merge::union::<Vec<Line>>, &base, &theirs, &ours);
        assert_eq!(result.len(), 2);
        assert!(result[0].sizes.contains_key("2") && result[1].sizes.contains_key("42"));
    }

    #[test]
    fn a_long_list_is_merged_in_linear_time() {
        let base: Vec<u32> = (0..200_000).collect();
        let theirs: Vec<u32> = base.iter().rev().copied().collect();
        let ours: Vec<u32> = base.iter().flat_map(|n| [*n, n + 1_000_000]).collect();
        assert_eq!(merged(merge::union::<Vec<u32>>, &base, &theirs, &ours).len(), 400_000);
    }

    #[test]
    fn numbers_of_every_width_are_items() {
        let wide = [u128::MAX, u128::from(u64::MAX) + 1, 0];
        let base = vec![wide[0], wide[2]];
        assert_both_ways(
            merge::union::<Vec<u128>>,
            &base,
            &vec![wide[0]],
            &vec![wide[0], wide[1], wide[2]],
            &wide[..2].to_vec(),
        );
    }
}

mod sets {
    use super::*;

    fn set() -> impl Strategy<Value = BTreeSet<u8>> {
        prop::collection::btree_set(0..12_u8, 0..8)
    }

    fn change(set: &BTreeSet<u8>, added: &BTreeSet<u8>, removed: &BTreeSet<u8>) -> BTreeSet<u8> {
        (set - removed).union(added).copied().collect()
    }

    proptest! {
        #[test]
        fn changes_to_different_items_are_serial(base in set(), changes in prop::array::uniform4(set())) {
            let [added, removed, others_added, others_removed] = changes;
            // Items below 6 belong to one writer, the others to the other.
            let (low, high): (BTreeSet<u8>, BTreeSet<u8>) = ((0..6).collect(), (6..12).collect());
            let left = change(&base, &(&added & &low), &(&removed & &low));
            let right = change(&base, &(&others_added & &high), &(&others_removed & &high));
            let serial = change(&left, &(&others_added & &high), &(&others_removed & &high));
            assert_both_ways(merge::union::<BTreeSet<u8>>, &base, &left, &right, &serial);
            let hash = |set: &BTreeSet<u8>| set.iter().copied().collect::<HashSet<u8>>();
            assert_both_ways(merge::union::<HashSet<u8>>, &hash(&base), &hash(&left), &hash(&right), &hash(&serial));
        }

        #[test]
        fn two_adders_of_one_item_add_it_once(base in set(), left in set(), right in set()) {
            let expected: BTreeSet<u8> = (0..12)
                .filter(|item| {
                    let (was, left, right) = (base.contains(item), left.contains(item), right.contains(item));
                    if was { left && right } else { left || right }
                })
                .collect();
            assert_both_ways(merge::union::<BTreeSet<u8>>, &base, &left, &right, &expected);
        }
    }

    #[test]
    fn a_type_of_the_users_can_be_a_set() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Tags(Vec<String>);
        impl MergeUnion for Tags {
            const DISTINCT: bool = true;
        }
        let tags = |text| Tags(strings(text));
        assert_eq!(
            merged(merge::union::<Tags>, &tags("a"), &tags("ab"), &tags("acb")),
            tags("abc")
        );
    }

    #[test]
    fn a_stored_set_in_another_encoding_is_the_same_set() {
        // `[1, 2]` with an indefinite length and long heads, as another writer may put it.
        let base = b"\x9f\x18\x01\x19\x00\x02\xff";
        let three = Three {
            base,
            theirs: b"\x83\x01\x02\x03",
            ours: b"\x81\x02",
        };
        assert_eq!(merge::union::<BTreeSet<u8>>(&three).unwrap(), b"\x82\x02\x03"[..]);
    }
}

mod maps {
    use super::*;

    type Map = BTreeMap<u8, i64>;

    fn map() -> impl Strategy<Value = Map> {
        prop::collection::btree_map(0..12_u8, -3..4_i64, 0..8)
    }

    fn pairs(pairs: &[(&str, u32)]) -> BTreeMap<String, u32> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
    }

    /// `base` with the keys of `own` as in `changed`.
    fn change(base: &Map, changed: &Map, own: std::ops::Range<u8>) -> Map {
        let others = base.iter().filter(|(key, _)| !own.contains(key));
        others
            .chain(changed.iter().filter(|(key, _)| own.contains(key)))
            .map(|(key, value)| (*key, *value))
            .collect()
    }

    proptest! {
        #[test]
        fn changes_to_different_keys_are_serial(base in map(), left in map(), right in map()) {
            let (left, right) = (change(&base, &left, 0..6), change(&base, &right, 6..12));
            let serial = change(&left, &right, 6..12);
            assert_both_ways(merge::entries::<Map>, &base, &left, &right, &serial);
            assert_both_ways(merge::entries_add::<Map>, &base, &left, &right, &serial);
        }

        #[test]
        fn adders_to_any_keys_are_serial(base in map(), left in map(), right in map()) {
            let add = |to: &Map, gains: &Map| {
                let mut sum = to.clone();
                for (key, gain) in gains {
                    *sum.entry(*key).or_default() += gain;
                }
                sum
            };
            let serial = add(&add(&base, &left), &right);
            assert_both_ways(merge::entries_add::<Map>, &base, &add(&base, &left), &add(&base, &right), &serial);
        }

        #[test]
        fn a_key_that_both_changed_is_ours(base in map(), theirs in map(), ours in map()) {
            let result = merged(merge::entries::<Map>, &base, &theirs, &ours);
            for key in 0..12 {
                let from = if ours.get(&key) == base.get(&key) { &theirs } else { &ours };
                prop_assert_eq!(result.get(&key), from.get(&key));
            }
        }

        #[test]
        fn nothing_added_vanishes(base in map(), theirs in map(), ours in map()) {
            let result = merged(merge::entries_add::<Map>, &base, &theirs, &ours);
            for key in 0..12 {
                let of = |map: &Map| map.get(&key).copied().unwrap_or_default();
                let gone_from_both = !theirs.contains_key(&key) && !ours.contains_key(&key);
                let sum = if gone_from_both { 0 } else { of(&theirs) + of(&ours) - of(&base) };
                prop_assert_eq!(of(&result), sum);
            }
        }
    }

    #[test]
    fn a_removal_is_a_write() {
        let (three, five, none) = (pairs(&[("x", 3)]), pairs(&[("x", 5)]), pairs(&[]));
        let entries = merge::entries::<BTreeMap<String, u32>>;
        assert_eq!(merged(entries, &three, &five, &none), none);
        assert_eq!(merged(entries, &three, &none, &five), five);
    }

    #[test]
    fn a_removal_under_add_takes_what_it_saw() {
        let (one, three, five, none) = (pairs(&[("x", 1)]), pairs(&[("x", 3)]), pairs(&[("x", 5)]), pairs(&[]));
        let add = merge::entries_add::<BTreeMap<String, u32>>;
        assert_both_ways(add, &three, &five, &none, &pairs(&[("x", 2)]));
        assert_both_ways(add, &three, &one, &none, &none);
        assert_both_ways(add, &three, &none, &none, &none);
        assert_both_ways(
            add,
            &none,
            &pairs(&[("x", 0)]),
            &pairs(&[("x", 0)]),
            &pairs(&[("x", 0)]),
        );
        assert_both_ways(add, &three, &pairs(&[("x", 0)]), &one, &pairs(&[("x", 0)]));
    }

    #[test]
    fn hash_maps_are_compared_whatever_their_order() {
        let many = |from: u32| (from..from + 50).map(|n| (n, vec![n])).collect::<HashMap<_, _>>();
        assert_both_ways(
            merge::entries::<HashMap<u32, Vec<u32>>>,
            &many(1),
            &many(2),
            &many(0),
            &{
                let mut both = many(0);
                both.extend(many(2));
                both.remove(&1);
                both.remove(&50);
                both
            },
        );
    }

    #[test]
    fn a_struct_can_be_merged_by_field() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Preferences {
            theme: String,
            page_size: u16,
        }
        impl MergeEntries for Preferences {}
        let preferences = |theme: &str, page_size| Preferences {
            theme: theme.to_owned(),
            page_size,
        };
        let (base, left, right) = (
            preferences("light", 10),
            preferences("dark", 10),
            preferences("light", 20),
        );
        assert_both_ways(
            merge::entries::<Preferences>,
            &base,
            &left,
            &right,
            &preferences("dark", 20),
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(
        base in prop::collection::vec(any::<u8>(), 0..24),
        theirs in prop::collection::vec(any::<u8>(), 0..24),
        ours in prop::collection::vec(any::<u8>(), 0..24),
    ) {
        let three = Three { base: &base, theirs: &theirs, ours: &ours };
        let strategies: [MergeFn; 6] = [
            merge::add::<i128>,
            merge::max::<f32>,
            merge::union::<Vec<Option<String>>>,
            merge::union::<HashSet<i8>>,
            merge::entries::<HashMap<u8, Vec<u8>>>,
            merge::entries_add::<BTreeMap<i8, f32>>,
        ];
        for strategy in strategies {
            if let Ok(bytes) = strategy(&three) {
                prop_assert!(!bytes.is_empty());
            }
        }
    }
}
