//! Records that have expired.

use std::time::{Duration, SystemTime};

use super::{delete, done, holds, insert, is_absent, later, read};
use crate::conformance::probe::{Outcome, Probe, RuleFailure, ensure, expect, expect_value, key, value};
use crate::tier::{DurableTier, Write};

/// The moments of the rules about purging lie in the first hours of 1970: no real record expires then, so that on a
/// shared server nobody's records are purged but ours.
const EXPIRED: Duration = Duration::from_secs(1_000);

pub(super) const PURGED: Duration = Duration::from_secs(2_000);

/// Past as well, but after [`PURGED`]: a tier that goes by a clock of its own, and not by the moment it is given, shows.
const NOT_YET: Duration = Duration::from_mins(50);

pub(super) fn at(since_epoch: Duration) -> SystemTime {
    SystemTime::UNIX_EPOCH + since_epoch
}

/// A tier may drop what has expired when it meets it. One that only hid it would let a late writer bring it back.
pub(super) async fn expired_records_are_there_or_gone<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, value) = (key(), value("expired"));
    // Past, but after any moment that the rules purge at.
    let write = probe.tier.insert(&key, value.clone(), at(NOT_YET)).await?;
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
        "an update of an expired record that reads as none",
        write,
        Write::Missing,
    )?;
    let version = insert(probe, &key, &value).await?;
    delete(probe, &key, version).await
}

/// Purges until nothing is left to purge; how many were, at most.
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

pub(super) async fn purging_spares_the_living<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (expired, living, not_yet, extended, shortened) = (key(), key(), key(), key(), key());
    let value = value("purge");
    let insert_at = async |key: &str, expires_at| {
        let write = probe.tier.insert(key, value.clone(), expires_at).await?;
        done("an insert", write)
    };
    insert_at(&expired, at(EXPIRED)).await?;
    insert_at(&living, later()).await?;
    let there = insert_at(&not_yet, at(NOT_YET)).await?;
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
    ensure(purged >= 2, "a purge to tell how many it deleted", || {
        format!("it told {purged} for two")
    })?;
    is_absent(probe, "an expired record after a purge", &expired).await?;
    is_absent(
        probe,
        "a record whose expiry was moved to the past, after a purge",
        &shortened,
    )
    .await?;
    // Not read, since a tier with a clock of its own may drop it then.
    let write = probe.tier.delete(&not_yet, there).await?;
    done(
        "a delete of a record that expires after the moment that was purged at",
        write,
    )?;
    for (what, key) in [
        ("a living record after a purge", &living),
        (
            "a record whose expiry was moved to the future, after a purge",
            &extended,
        ),
    ] {
        let version = holds(probe, what, key, &value).await?;
        delete(probe, key, version).await?;
    }
    // What was purged is gone as if it had been deleted, and its key is free.
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
            format!("it told {purged} for {limit}")
        })?;
        let mut left = 0;
        // Not read, since a tier with a clock of its own may drop them then.
        for (key, version) in &records {
            left += usize::from(probe.tier.delete(key, *version).await? != Write::Missing);
        }
        ensure(left + limit >= RECORDS, "a purge to stop at its limit", || {
            format!("with a limit of {limit} it left {left} of {RECORDS}")
        })?;
    }
    Ok(())
}
