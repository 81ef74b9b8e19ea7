//! The rules of [`DurableTier`], one function each.

mod exact;
mod purge;
mod race;
mod values;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::probe::{LONG, Outcome, Probe, RuleFailure, check, expect_value};
use super::{Options, Violation};
use crate::tier::{DurableTier, Stored, Version, Write};

/// Checks every rule of [`DurableTier`]; the first that is failure is the error.
///
/// Records that a rule leaves behind expire within an hour. Nothing here makes a tier's time pass.
pub async fn durable_tier<T: DurableTier>(tier: &Arc<T>, options: &Options) -> Result<(), Violation> {
    let probe = &Probe { tier, options };
    let name = tier.name();
    macro_rules! rules {
        ($($rule:literal => $check:path;)*) => { $( check(name, options, $rule, $check(probe)).await?; )* };
    }
    rules! {
        "a key without a record reads as none" => exact::nothing_is_there_at_first;
        "insert creates, and never replaces" => exact::insert_only_creates;
        "update replaces exactly the version that it is based on" => exact::update_is_exact;
        "update never creates" => exact::update_never_creates;
        "delete takes exactly the version that it is based on" => exact::delete_is_exact;
        "a late update cannot bring a deleted record back" => exact::deleted_stays_dead;
        "the version that a write gives is the one that a read shows" => exact::versions_agree;
        "a write of identical content gives the version that a read shows" => exact::equal_content_is_still_a_record;
        "versions grow across delete and re-creation" => exact::versions_outlive_the_record;
        "values come back byte for byte" => values::values_are_binary;
        "values come back whole at every size" => values::values_are_whole;
        "a value over the limit is refused as too large and changes nothing" => values::too_large_changes_nothing;
        "keys of up to 250 printable bytes work" => values::long_keys;
        "keys do not touch one another" => values::keys_are_apart;
        "of inserts that race, exactly one creates" => race::one_insert_wins;
        "of updates that race on one base, exactly one is done" => race::one_update_wins;
        "of an update and a delete that race on one base, exactly one is done" => race::update_or_delete_wins;
        "of updates that retry on conflict, none is lost" => race::no_update_is_lost;
        "a read sees every write that was acknowledged before it" => race::reads_see_acknowledged_writes;
        "a record past its expires_at is there or gone, never hidden" => purge::expired_records_are_there_or_gone;
        "purging takes only what has expired" => purge::purging_spares_the_living;
        "purging takes no more than its limit" => purge::purging_respects_its_limit;
        "a dropped call leaves the tier fit for the next one" => race::dropped_calls_do_no_harm;
    }
    Ok(())
}

fn later() -> SystemTime {
    SystemTime::now() + LONG
}

async fn read<T: DurableTier>(probe: &Probe<'_, T>, key: &str) -> Result<Option<Stored>, RuleFailure> {
    Ok(probe.tier.read(key).await?)
}

/// The record under `key` must be `expected`; its version.
async fn holds<T: DurableTier>(
    probe: &Probe<'_, T>,
    what: &str,
    key: &str,
    expected: &Bytes,
) -> Result<Version, RuleFailure> {
    let found = read(probe, key).await?;
    expect_value(what, found.as_ref().map(|found| &found.value), Some(expected))?;
    found
        .map(|found| found.version)
        .ok_or_else(|| RuleFailure::new("a record", "there was none"))
}

async fn is_absent<T: DurableTier>(probe: &Probe<'_, T>, what: &str, key: &str) -> Outcome {
    let found = read(probe, key).await?;
    expect_value(what, found.as_ref().map(|found| &found.value), None)
}

fn done(what: &str, write: Write) -> Result<Version, RuleFailure> {
    match write {
        Write::Done(version) => Ok(version),
        other => Err(RuleFailure::new(
            format!("{what} to be done"),
            format!("it was {other:?}"),
        )),
    }
}

async fn insert<T: DurableTier>(probe: &Probe<'_, T>, key: &str, value: &Bytes) -> Result<Version, RuleFailure> {
    done("an insert", probe.tier.insert(key, value.clone(), later()).await?)
}

async fn update<T: DurableTier>(
    probe: &Probe<'_, T>,
    key: &str,
    base: Version,
    value: &Bytes,
) -> Result<Version, RuleFailure> {
    let write = probe.tier.update(key, base, value.clone(), later()).await?;
    done("an update of the current version", write)
}

async fn delete<T: DurableTier>(probe: &Probe<'_, T>, key: &str, base: Version) -> Outcome {
    done("a delete of the current version", probe.tier.delete(key, base).await?).map(drop)
}
