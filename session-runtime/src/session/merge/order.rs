use std::cmp::Ordering;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{MergeError, ThreeWay};
use crate::cbor;

/// A value with an order. Implemented for every type that is [`PartialOrd`] and can be stored.
#[diagnostic::on_unimplemented(
    message = "`merge = max` and `merge = min` need an order, `{Self}` has none",
    label = "cannot be compared",
    note = "derive `PartialOrd` (and serde's traits) for `{Self}`, or use another strategy, such as `last_write`"
)]
pub trait MergeOrd: PartialOrd + Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: PartialOrd + Serialize + DeserializeOwned> MergeOrd for T {}

/// `max`: the greater of the two, theirs where they are equal.
///
/// A value that does not compare with itself, such as NaN, loses against one that does. Of two other values that do not
/// compare, ours wins.
pub fn max<T: MergeOrd>(values: &ThreeWay<'_>) -> Result<Vec<u8>, MergeError> {
    pick::<T>(values, Ordering::Greater)
}

/// `min`: the smaller of the two, theirs where they are equal. `None` is smaller than any `Some`.
///
/// Values that do not compare are treated as by [`max`].
pub fn min<T: MergeOrd>(values: &ThreeWay<'_>) -> Result<Vec<u8>, MergeError> {
    pick::<T>(values, Ordering::Less)
}

fn pick<T: MergeOrd>(values: &ThreeWay<'_>, wanted: Ordering) -> Result<Vec<u8>, MergeError> {
    let theirs: T = cbor::from_slice(values.theirs)?;
    let ours: T = cbor::from_slice(values.ours)?;
    let take_ours = match ours.partial_cmp(&theirs) {
        Some(order) => order == wanted,
        None => ours.partial_cmp(&ours).is_some() || theirs.partial_cmp(&theirs).is_none(),
    };
    Ok(if take_ours { values.ours } else { values.theirs }.to_vec())
}
