//! Records that have expired.

use std::time::{Duration, SystemTime};

use super::{delete, done, holds, insert, is_absent, later, read};
use crate::conformance::probe::{Outcome, Probe, RuleFailure, ensure, expect, expect_value, key, value};
use crate::tier::{DurableTier, Write};

/// When the records to be purged expire. Real records do not expire in 1970, so that a shared server loses none.
const EXPIRED: Duration = Duration::from_secs(1_000);

/// The time that the rules pass to `purge_expired`.
pub(super) const PURGED: Duration = Duration::from_secs(2_000);

/// Later than [`PURGED`], and still past: a tier that purges by its own clock deletes such a record.
const LATER_THAN_PURGED: Duration = Duration::from_mins(50);

pub(super) fn at(since_epoch: Duration) -> SystemTime {
    SystemTime::UNIX_EPOCH + since_epoch
}

/// A tier may delete an expired record when it is read. If it only hid the record, a late writer could restore it.
pub(super) async fn expired_records_are_readable_or_deleted<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, value) = (key(), value("expired"));
    // Expired, but not purged by the other rules.
    let write = probe.tier.insert(&key, value.clone(), at(LATER_THAN_PURGED)).await?;
    let version = done("an insert", write)?;
    let again = probe.tier.insert(&key, value.clone(), later()).await?;
    expect("an insert over an expired record", again, Write::Conflict)?;
    if let Some(found) = read(probe, &key).await? {
        expect_value("an expired record", Some(&found.value), Some(&value))?;
        expect("its version", found.version, version)?;
        return delete(probe, &key, version).await;
    }
    let write = probe.tier.update(&key, version, value.clone(), later()).await?;
    expect(
        "an update of an expired record that was not read",
        write,
        Write::Missing,
    )?;
    let version = insert(probe, &key, &value).await?;
    delete(probe, &key, version).await
}

/// Purges until nothing is left to purge; returns how many records were purged.
async fn purge_all<T: DurableTier>(probe: &Probe<'_, T>) -> Result<usize, RuleFailure> {
    const CALLS: usize = 1_000;
    let mut total = 0;
    for _ in 0..CALLS {
        let purged = probe.tier.purge_expired(at(PURGED), 100).await?;
        ensure(purged <= 100, "at most 100 to be purged", || format!("{purged} were"))?;
        total += purged;
        if purged == 0 {
            return Ok(total);
        }
    }
    Err(RuleFailure::new(
        "nothing to be left to purge",
        format!("{CALLS} calls found more each time"),
    ))
}

pub(super) async fn purging_spares_unexpired_records<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (expired, unexpired, not_due, extended, shortened) = (key(), key(), key(), key(), key());
    let value = value("purge");
    let insert_at = async |key: &str, expires_at| {
        let write = probe.tier.insert(key, value.clone(), expires_at).await?;
        done("an insert", write)
    };
    insert_at(&expired, at(EXPIRED)).await?;
    insert_at(&unexpired, later()).await?;
    let there = insert_at(&not_due, at(LATER_THAN_PURGED)).await?;
    // The expiry that counts is that of the last write.
    let base = insert_at(&extended, at(EXPIRED)).await?;
    done(
        "an update",
        probe.tier.update(&extended, base, value.clone(), later()).await?,
    )?;
    let base = insert_at(&shortened, later()).await?;
    done(
        "an update",
        probe.tier.update(&shortened, base, value.clone(), at(EXPIRED)).await?,
    )?;
    let purged = purge_all(probe).await?;
    ensure(purged >= 2, "a purge to return how many it deleted", || {
        format!("it returned {purged} for two")
    })?;
    is_absent(probe, "an expired record after a purge", &expired).await?;
    is_absent(
        probe,
        "a record whose expiry was moved to the past, after a purge",
        &shortened,
    )
    .await?;
    // Not read, since a tier with a clock of its own may then delete it.
    let write = probe.tier.delete(&not_due, there).await?;
    done(
        "a delete of a record that expires later than the time of the purge",
        write,
    )?;
    for (what, key) in [
        ("an unexpired record after a purge", &unexpired),
        (
            "a record whose expiry was moved to the future, after a purge",
            &extended,
        ),
    ] {
        let version = holds(probe, what, key, &value).await?;
        delete(probe, key, version).await?;
    }
    // A purged record is deleted, and its key is free.
    let version = insert(probe, &expired, &value).await?;
    delete(probe, &expired, version).await
}

pub(super) async fn purging_respects_its_limit<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    const RECORDS: usize = 5;
    for limit in [0, 2] {
        let mut records = Vec::new();
        for _ in 0..RECORDS {
            let key = key();
            let write = probe.tier.insert(&key, value("purge"), at(EXPIRED)).await?;
            records.push((key, done("an insert", write)?));
        }
        let purged = probe.tier.purge_expired(at(PURGED), limit).await?;
        ensure(purged <= limit, "a purge to stop at its limit", || {
            format!("it returned {purged} for a limit of {limit}")
        })?;
        let mut left = 0;
        // Not read, since a tier with a clock of its own may then delete them.
        for (key, version) in &records {
            left += usize::from(probe.tier.delete(key, *version).await? != Write::Missing);
        }
        ensure(left + limit >= RECORDS, "a purge to stop at its limit", || {
            format!("with a limit of {limit} it left {left} of {RECORDS}")
        })?;
    }
    Ok(())
}
