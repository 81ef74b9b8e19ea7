use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::items::{self, Canonical};
use super::{MergeError, ThreeWay};

/// A list or a set: any type that serde serializes as a sequence.
///
/// Implementing it for a collection of your own takes one line:
///
/// ```
/// use session_runtime::merge::MergeUnion;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Tags(Vec<String>);
///
/// impl MergeUnion for Tags {
///     const DISTINCT: bool = true;
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`merge = union` needs a list or a set, `{Self}` is none",
    label = "has no items to be united",
    note = "use `Vec`, `VecDeque`, `HashSet` or `BTreeSet` (an empty one in place of an `Option`), `entries` for a map, \
            or implement `session_runtime::merge::MergeUnion` for `{Self}`"
)]
pub trait MergeUnion: Serialize + DeserializeOwned {
    /// Whether it has each item at most once, as a set has.
    const DISTINCT: bool;
}

impl<T> MergeUnion for Vec<T>
where
    Self: Serialize + DeserializeOwned,
{
    const DISTINCT: bool = false;
}

impl<T> MergeUnion for VecDeque<T>
where
    Self: Serialize + DeserializeOwned,
{
    const DISTINCT: bool = false;
}

impl<T, S: BuildHasher> MergeUnion for HashSet<T, S>
where
    Self: Serialize + DeserializeOwned,
{
    const DISTINCT: bool = true;
}

impl<T> MergeUnion for BTreeSet<T>
where
    Self: Serialize + DeserializeOwned,
{
    const DISTINCT: bool = true;
}

/// `union`: theirs, without the items that we removed, and with those that we added.
///
/// A list counts copies: if two writers both add an item, it is there twice, and if both remove a copy, two are gone. A
/// set has each item once. Items are equal if their encodings are.
///
/// In a list, items that we added at the front or at the end stay there; others follow the item that they followed. The
/// rest keeps their order, or ours where only we reordered it.
pub fn union<T: MergeUnion>(values: &ThreeWay<'_>) -> Result<Vec<u8>, MergeError> {
    let canonical = Canonical::new::<T>(values)?;
    let (base, theirs, ours) = (
        items::list(&canonical.base)?,
        items::list(&canonical.theirs)?,
        items::list(&canonical.ours)?,
    );
    let mut merged = if theirs == base {
        ours
    } else if ours == base {
        theirs
    } else if is_reordered(&base, &ours) && !is_reordered(&base, &theirs) {
        weave(&base, &ours, &theirs)
    } else {
        weave(&base, &theirs, &ours)
    };
    if T::DISTINCT {
        let mut seen = HashSet::new();
        merged.retain(|item| seen.insert(*item));
    }
    items::from_list::<T>(&merged)
}

type Counts<'a> = HashMap<&'a [u8], usize>;

fn count<'a>(list: &[&'a [u8]]) -> Counts<'a> {
    let mut counts = Counts::new();
    for item in list {
        *counts.entry(item).or_default() += 1;
    }
    counts
}

/// Takes one copy of the item, if one is left.
fn take(counts: &mut Counts<'_>, item: &[u8]) -> bool {
    match counts.get_mut(item) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    }
}

/// The items of `base` that are still in `list`, in its order.
fn kept<'a>(base: &[&'a [u8]], list: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut copies = count(base);
    list.iter().copied().filter(|item| take(&mut copies, item)).collect()
}

/// Whether `list` has its items of `base` in another order.
fn is_reordered(base: &[&[u8]], list: &[&[u8]]) -> bool {
    let mut rest = base.iter();
    kept(base, list).iter().any(|item| !rest.any(|other| other == item))
}

/// `frame` without the items that `other` removed from `base`, and with those that it added. Which writer is the frame
/// decides the order, but not the items.
fn weave<'a>(base: &[&'a [u8]], frame: &[&'a [u8]], other: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let added = Added::new(base, other);
    let kept = without_removed(base, frame, other);
    let mut merged = Vec::with_capacity(added.front.len() + kept.len() + added.end.len());
    merged.extend(added.front);
    let mut runs = added.after;
    let mut places = added.places;
    for item in kept {
        merged.push(item);
        if let Some(run) = places.remove(item).and_then(|place| runs.get_mut(place)) {
            merged.append(run);
        }
    }
    // The items that these followed have been removed.
    merged.extend(runs.into_iter().flatten());
    merged.extend(added.end);
    merged
}

/// `frame` without the copies that `other` removed from `base`. Of equal items, those before the first removed one stay:
/// popping the end of a list removes the last copy, popping the front the first.
fn without_removed<'a>(base: &[&'a [u8]], frame: &[&'a [u8]], other: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let mut left = kept(base, other).into_iter().peekable();
    let mut stay = Counts::new();
    let mut thinned = HashSet::new();
    for &item in base {
        if left.next_if_eq(&item).is_none() {
            thinned.insert(item);
        } else if !thinned.contains(item) {
            *stay.entry(item).or_default() += 1;
        }
    }
    let mut removed = count(base);
    for item in other {
        take(&mut removed, item);
    }
    // No more copies may stay than remain in total, or a removed one would come back.
    let copies = count(frame);
    for (item, stay) in &mut stay {
        let present = copies.get(item).copied().unwrap_or_default();
        let gone = removed.get(item).copied().unwrap_or_default();
        *stay = (*stay).min(present.saturating_sub(gone));
    }
    frame
        .iter()
        .filter(|item| take(&mut stay, item) || !take(&mut removed, item))
        .copied()
        .collect()
}

/// The items that a list has and its base has not, by where they were inserted.
#[derive(Default)]
struct Added<'a> {
    front: Vec<&'a [u8]>,
    /// Runs of items that follow an item of the base.
    after: Vec<Vec<&'a [u8]>>,
    /// The index in `after` of the run that follows an item.
    places: HashMap<&'a [u8], usize>,
    end: Vec<&'a [u8]>,
}

impl<'a> Added<'a> {
    fn new(base: &[&'a [u8]], list: &[&'a [u8]]) -> Self {
        let mut copies = count(base);
        let kept: Vec<bool> = list.iter().map(|item| take(&mut copies, item)).collect();
        let last_kept = kept.iter().rposition(|kept| *kept);
        let mut added = Self::default();
        let mut before: Option<&[u8]> = None;
        for (at, (item, kept)) in list.iter().zip(kept).enumerate() {
            if kept {
                before = Some(item);
            } else if last_kept.is_none_or(|place| at > place) {
                added.end.push(item);
            } else if let Some(before) = before {
                let place = *added.places.entry(before).or_insert(added.after.len());
                match added.after.get_mut(place) {
                    Some(run) => run.push(item),
                    None => added.after.push(vec![item]),
                }
            } else {
                added.front.push(item);
            }
        }
        added
    }
}
