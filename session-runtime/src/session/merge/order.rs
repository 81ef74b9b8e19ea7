use std::cmp::Ordering;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{MergeError, ThreeWay};
use crate::cbor;

/// A value of which one can be the greater. Implemented for all that is [`PartialOrd`] and can be stored.
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
/// A value that does not even compare with itself, such as a NaN, gives way to one that does; of two others that do not
/// compare, ours is taken.
pub fn max<T: MergeOrd>(three: &ThreeWay<'_>) -> Result<Vec<u8>, MergeError> {
    pick::<T>(three, Ordering::Greater)
}

/// `min`: the smaller of the two, theirs where they are equal. `None` is smaller than any `Some`.
///
/// What does not compare is treated as by [`max`].
pub fn min<T: MergeOrd>(three: &ThreeWay<'_>) -> Result<Vec<u8>, MergeError> {
    pick::<T>(three, Ordering::Less)
}

fn pick<T: MergeOrd>(three: &ThreeWay<'_>, wanted: Ordering) -> Result<Vec<u8>, MergeError> {
    let theirs: T = cbor::from_slice(three.theirs)?;
    let ours: T = cbor::from_slice(three.ours)?;
    let take_ours = match ours.partial_cmp(&theirs) {
        Some(order) => order == wanted,
        None => ours.partial_cmp(&ours).is_some() || theirs.partial_cmp(&theirs).is_none(),
    };
    Ok(if take_ours { three.ours } else { three.theirs }.to_vec())
}
