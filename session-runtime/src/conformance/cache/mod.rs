//! The rules of [`CacheTier`], one function each.

mod exact;
mod race;
mod time;
mod values;

use std::sync::Arc;

use bytes::Bytes;

use super::probe::{LONG, Outcome, Probe, RuleFailure, check, expect_value};
use super::{Options, Violation};
use crate::tier::{CacheTier, Cached, Token};

/// Checks every rule of [`CacheTier`]. The error is the first rule that the tier breaks.
///
/// The rules about lifetimes need [`Options::with_passing_time`], and are left out without it.
pub async fn cache_tier<T: CacheTier>(tier: &Arc<T>, options: &Options) -> Result<(), Violation> {
    let probe = &Probe { tier, options };
    let name = tier.name();
    macro_rules! rules {
        ($($rule:literal => $check:path;)*) => { $( check(name, options, $rule, $check(probe)).await?; )* };
    }
    rules! {
        "a key that was never written has no value, and `swap` and `remove` answer `Missing`" => exact::unused_keys_are_absent;
        "`add` stores its value only where there is none" => exact::add_stores_only_where_there_is_no_value;
        "`set` replaces any value" => exact::set_replaces_any_value;
        "every write gives the value a new token, even if the value is equal to the old one" => exact::tokens_are_fresh;
        "`swap` replaces only the value with its token" => exact::swap_is_exact;
        "`remove` deletes only the value with its token" => exact::remove_is_exact;
        "a token is valid for its own key only" => exact::tokens_belong_to_their_key;
        "a value is read back byte for byte" => values::values_are_binary;
        "a value of any size up to the limit is read back whole" => values::values_are_whole;
        "a value over the limit is rejected as too large and changes nothing" => values::too_large_changes_nothing;
        "keys of up to 250 printable ASCII bytes are accepted" => values::long_keys;
        "similar keys have separate values" => values::similar_keys_are_separate;
        "of concurrent `add` calls, exactly one stores its value" => race::one_add_wins;
        "of concurrent `swap` calls with one token, exactly one succeeds" => race::one_swap_wins;
        "of concurrent `swap` and `remove` calls with one token, exactly one succeeds" => race::swap_or_remove_wins;
        "a read during concurrent writes returns a whole value that one of them wrote" => race::readers_see_whole_values;
        "a cancelled call does not affect the calls after it" => race::cancelled_calls_do_no_harm;
    }
    if options.pass_time.is_some() {
        rules! {
            "a value expires when its TTL has passed, and not before" => time::values_expire;
            "each write starts a new TTL" => time::writes_renew_the_ttl;
            "`add`, `swap` and `remove` treat an expired value as absent" => time::expired_values_are_absent;
        }
    }
    Ok(())
}

async fn get<T: CacheTier>(probe: &Probe<'_, T>, key: &str) -> Result<Option<Cached>, RuleFailure> {
    Ok(probe.tier.get(key).await?)
}

/// The value under `key` must be `expected`; returns its token.
async fn holds<T: CacheTier>(
    probe: &Probe<'_, T>,
    what: &str,
    key: &str,
    expected: &Bytes,
) -> Result<Token, RuleFailure> {
    let found = get(probe, key).await?;
    expect_value(what, found.as_ref().map(|found| &found.value), Some(expected))?;
    found
        .map(|found| found.token)
        .ok_or_else(|| RuleFailure::new("a value", "there was none"))
}

async fn is_absent<T: CacheTier>(probe: &Probe<'_, T>, what: &str, key: &str) -> Outcome {
    let found = get(probe, key).await?;
    expect_value(what, found.as_ref().map(|found| &found.value), None)
}

/// Stores `value` and returns its token.
async fn stored<T: CacheTier>(probe: &Probe<'_, T>, key: &str, value: &Bytes) -> Result<Token, RuleFailure> {
    probe.tier.set(key, value.clone(), LONG).await?;
    holds(probe, "the value that was just set", key, value).await
}
