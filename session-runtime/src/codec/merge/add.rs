use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{MergeError, Three, with};

/// A number whose concurrent changes can be added up.
#[diagnostic::on_unimplemented(
    message = "`merge = add` needs a number, `{Self}` is none",
    label = "cannot be added up",
    note = "use another strategy, such as `last_write`, or implement `session_runtime::merge::MergeAdd`"
)]
pub trait MergeAdd: Serialize + DeserializeOwned {
    /// `theirs` with the difference between `base` and `ours` added; the nearest number where that does not fit.
    #[must_use]
    fn merge_add(base: &Self, theirs: Self, ours: Self) -> Self;
}

/// `add`: both differences count.
pub fn add<T: MergeAdd>(three: &Three<'_>) -> Result<Bytes, MergeError> {
    with::<T>(three, T::merge_add)
}

macro_rules! narrow {
    ($($int:ty)*) => {$(
        impl MergeAdd for $int {
            fn merge_add(base: &Self, theirs: Self, ours: Self) -> Self {
                let sum = i128::from(theirs) + i128::from(ours) - i128::from(*base);
                Self::try_from(sum).unwrap_or(if sum < 0 { Self::MIN } else { Self::MAX })
            }
        }
    )*};
}

narrow!(u8 u16 u32 u64 i8 i16 i32 i64);

macro_rules! wide {
    ($($int:ty)*) => {$(
        impl MergeAdd for $int {
            fn merge_add(base: &Self, theirs: Self, ours: Self) -> Self {
                if ours >= *base {
                    match ours.checked_sub(*base) {
                        Some(gain) => theirs.saturating_add(gain),
                        None => theirs.saturating_sub(*base).saturating_add(ours),
                    }
                } else {
                    match base.checked_sub(ours) {
                        Some(loss) => theirs.saturating_sub(loss),
                        None => theirs.saturating_add(ours).saturating_sub(*base),
                    }
                }
            }
        }
    )*};
}

wide!(u128 i128 usize isize);

macro_rules! float {
    ($($float:ty)*) => {$(
        impl MergeAdd for $float {
            fn merge_add(base: &Self, theirs: Self, ours: Self) -> Self {
                theirs + (ours - base)
            }
        }
    )*};
}

float!(f32 f64);
