use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{MergeError, ThreeWay, with};

/// A number whose concurrent changes can be added up.
///
/// Implemented for the integers, the floats and [`Duration`].
#[diagnostic::on_unimplemented(
    message = "`merge = add` and `merge = entries(add)` need a number, `{Self}` is none",
    label = "cannot be added up",
    note = "use another strategy, such as `last_write`, or implement `session_runtime::merge::MergeAdd` for `{Self}`"
)]
pub trait MergeAdd: Serialize + DeserializeOwned {
    /// `theirs` plus the difference from `base` to `ours`; saturates at the limits of the type.
    #[must_use]
    fn merge_add(base: &Self, theirs: Self, ours: Self) -> Self;
}

/// `add`: both differences are added to the base; the sum saturates at the limits of the type.
///
/// Infinities and NaN have no difference. Where one writer set such a value, it wins, and ours where both did. Where the
/// base is such a value, ours wins unless it still equals the base.
pub fn add<T: MergeAdd>(values: &ThreeWay<'_>) -> Result<Vec<u8>, MergeError> {
    with::<T>(values, T::merge_add)
}

// Differences are unsigned, because the difference of two `i128` need not fit an `i128`.

macro_rules! unsigned {
    ($($number:ty)*) => {$(
        impl MergeAdd for $number {
            fn merge_add(base: &Self, theirs: Self, ours: Self) -> Self {
                let difference = ours.abs_diff(*base);
                if ours >= *base {
                    theirs.saturating_add(difference)
                } else {
                    theirs.saturating_sub(difference)
                }
            }
        }
    )*};
}

unsigned!(u8 u16 u32 u64 u128 usize Duration);

macro_rules! signed {
    ($($number:ty)*) => {$(
        impl MergeAdd for $number {
            fn merge_add(base: &Self, theirs: Self, ours: Self) -> Self {
                let difference = ours.abs_diff(*base);
                if ours >= *base {
                    theirs.saturating_add_unsigned(difference)
                } else {
                    theirs.saturating_sub_unsigned(difference)
                }
            }
        }
    )*};
}

signed!(i8 i16 i32 i64 i128 isize);

macro_rules! float {
    ($($float:ty)*) => {$(
        impl MergeAdd for $float {
            fn merge_add(base: &Self, theirs: Self, ours: Self) -> Self {
                if !(base.is_finite() && ours.is_finite()) {
                    let untouched = ours.total_cmp(base).is_eq() || (ours.is_nan() && base.is_nan());
                    return if untouched { theirs } else { ours };
                }
                let sum = theirs + (ours - base);
                if sum.is_finite() || !theirs.is_finite() {
                    return sum;
                }
                // An intermediate result overflowed, not necessarily the sum. Saturate: an infinity would absorb every
                // later change.
                ((theirs / 2.0 + (ours / 2.0 - base / 2.0)) * 2.0).clamp(Self::MIN, Self::MAX)
            }
        }
    )*};
}

float!(f32 f64);
