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

/// Checks every rule of [`DurableTier`]. The error is the first rule that the tier breaks.
///
/// Records that a failed rule leaves behind expire within an hour. No rule makes the tier's clock advance.
pub async fn durable_tier<T: DurableTier>(tier: &Arc<T>, options: &Options) -> Result<(), Violation> {
    let probe = &Probe { tier, options };
    let name = tier.name();
    macro_rules! rules {
        ($($rule:literal => $check:path;)*) => { $( check(name, options, $rule, $check(probe)).await?; )* };
    }
    rules! {
        "a key that was never written has no record, and `delete` answers `Missing`" => exact::unused_keys_are_absent;
        "`insert` creates a record, and never replaces one" => exact::insert_only_creates;
        "`update` replaces only the version that it is based on" => exact::update_is_exact;
        "`update` never creates a record" => exact::update_never_creates;
        "`delete` removes only the version that it is based on" => exact::delete_is_exact;
        "a late `update` does not restore a deleted record" => exact::deleted_stays_deleted;
        "a write returns the version that a read returns" => exact::versions_agree;
        "a write of identical content returns the version that a read returns" => exact::equal_content_has_a_version;
        "the versions of a key increase across deletion and re-creation" => exact::versions_increase_across_deletion;
        "a value is read back byte for byte" => values::values_are_binary;
        "a value of any size up to the limit is read back whole" => values::values_are_whole;
        "a value over the limit is rejected as too large and changes nothing" => values::too_large_changes_nothing;
        "keys of up to 250 printable ASCII bytes are accepted" => values::long_keys;
        "similar keys have separate records" => values::similar_keys_are_separate;
        "of concurrent `insert` calls, exactly one creates the record" => race::one_insert_wins;
        "of concurrent `update` calls on one version, exactly one succeeds" => race::one_update_wins;
        "of concurrent `update` and `delete` calls on one version, exactly one succeeds" => race::update_or_delete_wins;
        "no update is lost when writers retry after a conflict" => race::no_update_is_lost;
        "a read returns every write that was acknowledged before it began" => race::reads_see_acknowledged_writes;
        "an expired record is either readable or deleted, never hidden" => purge::expired_records_are_readable_or_deleted;
        "`purge_expired` deletes expired records only" => purge::purging_spares_unexpired_records;
        "`purge_expired` deletes no more records than its limit" => purge::purging_respects_its_limit;
        "a cancelled call does not affect the calls after it" => race::cancelled_calls_do_no_harm;
    }
    Ok(())
}

fn later() -> SystemTime {
    SystemTime::now() + LONG
}

async fn read<T: DurableTier>(probe: &Probe<'_, T>, key: &str) -> Result<Option<Stored>, RuleFailure> {
    Ok(probe.tier.read(key).await?)
}

/// The record under `key` must be `expected`; returns its version.
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
            format!("{what} to succeed"),
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
