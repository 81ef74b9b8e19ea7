//! The rules for tiers can fail: tiers with one fault each, and the rule that detects it.

mod cache;
mod durable;

use bytes::Bytes;
use session_runtime::tier::{TierError, TierErrorKind};

const LIMIT: usize = 100_000;

fn check_len(value: &Bytes) -> Result<(), TierError> {
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
