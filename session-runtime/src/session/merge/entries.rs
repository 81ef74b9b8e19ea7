use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::add::MergeAdd;
use super::items::{self, Canonical};
use super::{MergeError, ThreeWay};
use crate::cbor;

/// A map: any type that serde serializes as a map.
///
/// That includes a struct with named fields, which is then merged field by field:
///
/// ```
/// use session_runtime::merge::MergeEntries;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Preferences {
///     theme: String,
///     page_size: u16,
/// }
///
/// impl MergeEntries for Preferences {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`merge = entries` needs a map, `{Self}` is none",
    label = "has no keys and values",
    note = "use `HashMap` or `BTreeMap`, `union` for a list or a set, \
            or implement `session_runtime::merge::MergeEntries` for `{Self}`"
)]
pub trait MergeEntries: Serialize + DeserializeOwned {}

/// A map whose values are numbers. To implement it for a type of your own, name the type of the values.
#[diagnostic::on_unimplemented(
    message = "`merge = entries(add)` needs a map whose values are numbers, `{Self}` is none",
    label = "is no map of numbers",
    note = "use `HashMap` or `BTreeMap` with numbers for values, `entries` for other values, \
            or implement `session_runtime::merge::MergeEntriesAdd` for `{Self}`"
)]
pub trait MergeEntriesAdd: MergeEntries {
    /// The type of the values. A missing key counts as its default.
    type Value: MergeAdd + Default;
}

impl<K, V, S: BuildHasher> MergeEntries for HashMap<K, V, S> where Self: Serialize + DeserializeOwned {}

impl<K, V> MergeEntries for BTreeMap<K, V> where Self: Serialize + DeserializeOwned {}

impl<K, V: MergeAdd + Default, S: BuildHasher> MergeEntriesAdd for HashMap<K, V, S>
where
    Self: Serialize + DeserializeOwned,
{
    type Value = V;
}

impl<K, V: MergeAdd + Default> MergeEntriesAdd for BTreeMap<K, V>
where
    Self: Serialize + DeserializeOwned,
{
    type Value = V;
}

/// `entries`: key by key; where both changed a key, ours.
///
/// Removing a key is a change like any other: where we remove a key that they changed, it is gone, and where we change
/// a key that they removed, it is there again.
pub fn entries<T: MergeEntries>(values: &ThreeWay<'_>) -> Result<Vec<u8>, MergeError> {
    by_key::<T>(values, |entry| Ok(entry.ours.map(Cow::Borrowed)))
}

/// `entries(add)`: key by key; where both changed a key, both differences are added.
///
/// A missing key counts as zero, so that removing a key subtracts the value it had: if we remove a 3 that they made a 5,
/// 2 remains. A key that one writer removed is removed where 0 remains, and always where both removed it.
pub fn entries_add<T: MergeEntriesAdd>(values: &ThreeWay<'_>) -> Result<Vec<u8>, MergeError> {
    by_key::<T>(values, |entry| {
        let sum = T::Value::merge_add(&number(entry.base)?, number(entry.theirs)?, number(entry.ours)?);
        let sum = cbor::to_vec(&sum)?;
        let is_removed = entry.base.is_some() && (entry.theirs.is_none() || entry.ours.is_none());
        if is_removed && sum == cbor::to_vec(&T::Value::default())? {
            return Ok(None);
        }
        Ok(Some(Cow::Owned(sum)))
    })
}

fn number<V: MergeAdd + Default>(value: Option<&[u8]>) -> Result<V, MergeError> {
    match value {
        Some(bytes) => Ok(cbor::from_slice(bytes)?),
        None => Ok(V::default()),
    }
}

/// The encoded values of one key; `None` where it is missing.
struct EntryValues<'a> {
    base: Option<&'a [u8]>,
    theirs: Option<&'a [u8]>,
    ours: Option<&'a [u8]>,
}

/// Merges key by key: the value of the writer that changed the key, or that of `both` where both did. A key that both
/// removed is removed.
fn by_key<T: MergeEntries>(
    values: &ThreeWay<'_>,
    mut both: impl for<'a> FnMut(&EntryValues<'a>) -> Result<Option<Cow<'a, [u8]>>, MergeError>,
) -> Result<Vec<u8>, MergeError> {
    let canonical = Canonical::new::<T>(values)?;
    let (base, theirs, ours) = (
        items::map(&canonical.base)?,
        items::map(&canonical.theirs)?,
        items::map(&canonical.ours)?,
    );
    let mut merged = Vec::with_capacity(theirs.len());
    let new_keys = ours.keys().filter(|key| !theirs.contains_key(*key));
    for &key in theirs.keys().chain(new_keys) {
        let entry = EntryValues {
            base: base.get(key).copied(),
            theirs: theirs.get(key).copied(),
            ours: ours.get(key).copied(),
        };
        let value = if entry.ours == entry.base {
            entry.theirs.map(Cow::Borrowed)
        } else if entry.theirs == entry.base {
            entry.ours.map(Cow::Borrowed)
        } else {
            both(&entry)?
        };
        merged.extend(value.map(|value| (key, value)));
    }
    items::from_map::<T>(&merged)
}
