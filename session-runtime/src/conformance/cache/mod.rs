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

/// Checks every rule of [`CacheTier`]; the first that is failure is the error.
///
/// The rules about lifetimes need [`Options::with_passing_time`] and are left out without it.
pub async fn cache_tier<T: CacheTier>(tier: &Arc<T>, options: &Options) -> Result<(), Violation> {
    let probe = &Probe { tier, options };
    let name = tier.name();
    macro_rules! rules {
        ($($rule:literal => $check:path;)*) => { $( check(name, options, $rule, $check(probe)).await?; )* };
    }
    rules! {
        "a key under which nothing lies has no value" => exact::nothing_is_there_at_first;
        "add stores only where nothing lies" => exact::add_only_where_nothing_lies;
        "set stores over whatever lies there" => exact::set_hides_the_old_value;
        "a token changes with every stored value, even for equal ones" => exact::tokens_are_fresh;
        "swap replaces exactly the value that its token names" => exact::swap_is_exact;
        "remove takes exactly the value that its token names" => exact::remove_is_exact;
        "a token of another key is no token of this one" => exact::tokens_belong_to_their_key;
        "values come back byte for byte" => values::values_are_binary;
        "values come back whole at every size" => values::values_are_whole;
        "a value over the limit is refused as too large and changes nothing" => values::too_large_changes_nothing;
        "keys of up to 250 printable bytes work" => values::long_keys;
        "keys do not touch one another" => values::keys_are_apart;
        "of adds that race, exactly one stores" => race::one_add_wins;
        "of swaps that race for one token, exactly one is done" => race::one_swap_wins;
        "of a swap and a remove that race for one token, exactly one is done" => race::swap_or_remove_wins;
        "a reader that races with writers sees what one of them wrote" => race::readers_see_whole_values;
        "a dropped call leaves the tier fit for the next one" => race::dropped_calls_do_no_harm;
    }
    if options.pass_time.is_some() {
        rules! {
            "a value is gone once its ttl has passed, and not before" => time::a_ttl_ends;
            "each write begins a new ttl" => time::writes_renew_the_ttl;
            "where a value has outlived its ttl, nothing lies" => time::nothing_lies_after_the_ttl;
        }
    }
    Ok(())
}

async fn get<T: CacheTier>(probe: &Probe<'_, T>, key: &str) -> Result<Option<Cached>, RuleFailure> {
    Ok(probe.tier.get(key).await?)
}

/// The value under `key` must be `expected`; its token.
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

/// Stores `value` and gives its token.
async fn stored<T: CacheTier>(probe: &Probe<'_, T>, key: &str, value: &Bytes) -> Result<Token, RuleFailure> {
    probe.tier.set(key, value.clone(), LONG).await?;
    holds(probe, "the value that was just set", key, value).await
}
