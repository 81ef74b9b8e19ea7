//! The suite must be able to fail: tiers with one fault each, and the rule that finds it.

mod cache;
mod durable;

use bytes::Bytes;
use session_runtime::tier::{TierError, TierErrorKind};

const LIMIT: usize = 100_000;

fn too_large(value: &Bytes) -> Result<(), TierError> {
    let (size, limit) = (value.len(), LIMIT);
    if size > limit {
        return Err(TierError::new(
            "broken",
            "write",
            TierErrorKind::TooLarge { size, limit },
        ));
    }
    Ok(())
}
