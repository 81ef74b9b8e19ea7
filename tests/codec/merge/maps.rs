//! Maps: key by key, and by difference.

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
