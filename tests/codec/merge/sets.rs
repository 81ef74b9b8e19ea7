//! Sets: each item once.

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
    let three = ThreeWay {
        base,
        theirs: b"\x83\x01\x02\x03",
        ours: b"\x81\x02",
    };
    assert_eq!(merge::union::<BTreeSet<u8>>(&three).unwrap(), b"\x82\x02\x03"[..]);
}
