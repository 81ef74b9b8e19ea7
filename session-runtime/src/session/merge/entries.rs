use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::add::MergeAdd;
use super::items::{self, Canonical};
use super::{MergeError, ThreeWay};
use crate::cbor;

/// A map: whatever serde writes as keys with values.
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

/// A map whose values are numbers. For a map of your own, name the type of the values.
#[diagnostic::on_unimplemented(
    message = "`merge = entries(add)` needs a map whose values are numbers, `{Self}` is none",
    label = "is no map of numbers",
    note = "use `HashMap` or `BTreeMap` with numbers for values, `entries` for other values, \
            or implement `session_runtime::merge::MergeEntriesAdd` for `{Self}`"
)]
pub trait MergeEntriesAdd: MergeEntries {
    /// The type of the values; its default is what a missing key counts as.
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
/// Taking a key out is a change like any other: where we take out what they changed it is gone, and where we change
/// what they took out it is there again.
pub fn entries<T: MergeEntries>(three: &ThreeWay<'_>) -> Result<Vec<u8>, MergeError> {
    by_key::<T>(three, |values| Ok(values.ours.map(Cow::Borrowed)))
}

/// `entries(add)`: key by key; where both changed a key, both differences count.
///
/// A missing key counts as zero, so that taking a key out takes away what was seen there: of 3 that they made 5, 2
/// stay. A key that either took out goes where nothing stays, and always where both took it out.
pub fn entries_add<T: MergeEntriesAdd>(three: &ThreeWay<'_>) -> Result<Vec<u8>, MergeError> {
    by_key::<T>(three, |values| {
        let sum = T::Value::merge_add(&number(values.base)?, number(values.theirs)?, number(values.ours)?);
        let sum = cbor::to_vec(&sum)?;
        let taken_out = values.base.is_some() && (values.theirs.is_none() || values.ours.is_none());
        if taken_out && sum == cbor::to_vec(&T::Value::default())? {
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
struct Values<'a> {
    base: Option<&'a [u8]>,
    theirs: Option<&'a [u8]>,
    ours: Option<&'a [u8]>,
}

/// Takes each key that either has from the one that changed it, and from `both` where both did. A key that both took
/// out is gone.
fn by_key<T: MergeEntries>(
    three: &ThreeWay<'_>,
    mut both: impl for<'a> FnMut(&Values<'a>) -> Result<Option<Cow<'a, [u8]>>, MergeError>,
) -> Result<Vec<u8>, MergeError> {
    let three = Canonical::new::<T>(three)?;
    let (base, theirs, ours) = (
        items::map(&three.base)?,
        items::map(&three.theirs)?,
        items::map(&three.ours)?,
    );
    let mut merged = Vec::with_capacity(theirs.len());
    let new_keys = ours.keys().filter(|key| !theirs.contains_key(*key));
    for &key in theirs.keys().chain(new_keys) {
        let values = Values {
            base: base.get(key).copied(),
            theirs: theirs.get(key).copied(),
            ours: ours.get(key).copied(),
        };
        let value = if values.ours == values.base {
            values.theirs.map(Cow::Borrowed)
        } else if values.theirs == values.base {
            values.ours.map(Cow::Borrowed)
        } else {
            both(&values)?
        };
        merged.extend(value.map(|value| (key, value)));
    }
    items::from_map::<T>(&merged)
}
