//! Lists: copies are counted, and the order is kept where it is defined.

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
    fn the_items_do_not_depend_on_which_writer_comes_second(base in items(), left in items(), right in items()) {
        let forth = merged(merge::union::<Vec<u8>>, &base, &left, &right);
        let back = merged(merge::union::<Vec<u8>>, &base, &right, &left);
        prop_assert_eq!(sorted(forth), sorted(back));
    }

    #[test]
    fn the_list_of_a_single_writer_is_kept_unchanged(base in items(), changed in items()) {
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
        // Ours goes after the item it followed; where that is gone, to the end, before items added at the end.
        ("abc", "abcd", "axbc", "axbcd"),
        ("abc", "bcd", "axbc", "bcdx"),
        ("abc", "bcd", "axbcy", "bcdxy"),
        // Reordered by one writer: its order.
        ("abc", "abcd", "cba", "cbad"),
        ("abc", "cba", "abcd", "cbad"),
        // By both: theirs.
        ("abc", "bac", "cba", "bac"),
        // Of two copies, the last or the first was removed.
        ("aba", "abac", "ab", "abc"),
        ("aba", "abac", "ba", "bac"),
        ("aba", "abac", "xab", "xabc"),
        // Both removed a copy.
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
