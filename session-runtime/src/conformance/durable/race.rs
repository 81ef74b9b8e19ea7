//! Concurrent and cancelled calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::purge::{PURGED, at};
use super::{delete, done, holds, insert, is_absent, later, read, update};
use crate::conformance::probe::{
    Outcome, Probe, RuleFailure, blob, cancel_after, ensure, expect, expect_value, key, race, value,
};
use crate::tier::{DurableTier, TierError, TierErrorKind, Version, Write};

/// How often each race is run: two winners show only now and then.
const ROUNDS: usize = 10;

/// How the writers of a race ended: `None` for one that the tier rejected as unavailable, which writes nothing.
fn ends(results: Vec<Result<Write, TierError>>) -> Result<Vec<Option<Write>>, RuleFailure> {
    let end = |result: Result<Write, TierError>| match result {
        Ok(write) => Ok(Some(write)),
        Err(error) if error.kind() == TierErrorKind::Unavailable => Ok(None),
        Err(error) => Err(error.into()),
    };
    results.into_iter().map(end).collect()
}

/// The index of the only writer that succeeded, and its version.
fn only_winner(ends: &[Option<Write>]) -> Result<(usize, Version), RuleFailure> {
    let mut winners = ends.iter().enumerate().filter_map(|(at, end)| match end {
        Some(Write::Done(version)) => Some((at, *version)),
        _ => None,
    });
    match (winners.next(), winners.next()) {
        (Some(winner), None) => Ok(winner),
        _ => Err(RuleFailure::new("one to succeed", format!("they ended as {ends:?}"))),
    }
}

pub(super) async fn one_insert_wins<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    for _ in 0..ROUNDS {
        let key = key();
        let values: Vec<Bytes> = (0..probe.options.concurrency).map(|_| value("insert")).collect();
        let results = race(values.iter().cloned().map(|value| {
            let (tier, key) = (Arc::clone(probe.tier), key.clone());
            async move { tier.insert(&key, value, later()).await }
        }));
        let (winner, version) = only_winner(&ends(results.await?)?)?;
        let found = read(probe, &key).await?;
        expect_value(
            "the record",
            found.as_ref().map(|found| &found.value),
            values.get(winner),
        )?;
        delete(probe, &key, version).await?;
    }
    Ok(())
}

pub(super) async fn one_update_wins<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    let mut base = insert(probe, &key, &value("base")).await?;
    for _ in 0..ROUNDS {
        let values: Vec<Bytes> = (0..probe.options.concurrency).map(|_| value("update")).collect();
        let results = race(values.iter().cloned().map(|value| {
            let (tier, key) = (Arc::clone(probe.tier), key.clone());
            async move { tier.update(&key, base, value, later()).await }
        }));
        let ends = ends(results.await?)?;
        let (winner, version) = only_winner(&ends)?;
        ensure(
            !ends.contains(&Some(Write::Missing)),
            "those that lost to conflict",
            || format!("they ended as {ends:?}"),
        )?;
        let found = read(probe, &key).await?;
        expect_value(
            "the record",
            found.as_ref().map(|found| &found.value),
            values.get(winner),
        )?;
        base = version;
    }
    delete(probe, &key, base).await
}

pub(super) async fn update_or_delete_wins<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    for round in 0..ROUNDS {
        let (key, new) = (key(), value("new"));
        let base = insert(probe, &key, &value("base")).await?;
        let results = race((0..2).map(|side| {
            let (tier, key, new) = (Arc::clone(probe.tier), key.clone(), new.clone());
            async move {
                if (side + round) % 2 == 0 {
                    tier.update(&key, base, new, later()).await
                } else {
                    tier.delete(&key, base).await
                }
            }
        }));
        let (winner, version) = only_winner(&ends(results.await?)?)?;
        if (winner + round) % 2 == 0 {
            holds(probe, "the record after an update won", &key, &new).await?;
            delete(probe, &key, version).await?;
        } else {
            is_absent(probe, "the record after a delete won", &key).await?;
        }
    }
    Ok(())
}

/// How many increments each writer makes.
const INCREMENTS: u64 = 10;

/// How many updates a writer tries, as another may be first many times in a row.
const ATTEMPTS: u64 = 10_000;

pub(super) async fn no_update_is_lost<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    insert(probe, &key, &number(0)).await?;
    let counts = race((0..probe.options.concurrency).map(|_| increment(Arc::clone(probe.tier), key.clone()))).await?;
    let total: u64 = counts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().sum();
    let version = shows(probe, "the sum of all increments", &key, total).await?;
    delete(probe, &key, version).await
}

async fn increment<T: DurableTier>(tier: Arc<T>, key: String) -> Result<u64, RuleFailure> {
    let mut counted = 0;
    for _ in 0..ATTEMPTS {
        if counted == INCREMENTS {
            break;
        }
        let Some(found) = tier.read(&key).await? else {
            return Err(RuleFailure::new(
                "a record that is only updated to be there",
                "it was gone",
            ));
        };
        let value = number(parse(&found.value)? + 1);
        match tier.update(&key, found.version, value, later()).await {
            Ok(Write::Done(_)) => counted += 1,
            Ok(Write::Conflict) => {}
            Ok(Write::Missing) => {
                return Err(RuleFailure::new(
                    "an update to succeed or to conflict",
                    "it was Missing",
                ));
            }
            Err(error) if error.kind() == TierErrorKind::Unavailable => {}
            Err(error) => return Err(error.into()),
        }
    }
    if counted == INCREMENTS {
        return Ok(counted);
    }
    Err(RuleFailure::new(
        format!("{INCREMENTS} updates to succeed within {ATTEMPTS} attempts"),
        format!("{counted} did"),
    ))
}

/// The value for a number: unique, even for an equal number.
fn number(number: u64) -> Bytes {
    value(&number.to_string())
}

/// The record must contain that number; returns its version.
async fn shows<T: DurableTier>(
    probe: &Probe<'_, T>,
    what: &str,
    key: &str,
    number: u64,
) -> Result<Version, RuleFailure> {
    let Some(found) = read(probe, key).await? else {
        return Err(RuleFailure::new(format!("{what} to be there"), "it was gone"));
    };
    expect(what, parse(&found.value)?, number)?;
    Ok(found.version)
}

fn parse(value: &[u8]) -> Result<u64, RuleFailure> {
    let number = std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.split_once('-')?.0.parse().ok());
    number.ok_or_else(|| RuleFailure::new("a read to return what was written", format!("it returned {value:?}")))
}

/// A reader that misses an acknowledged write would serve an old session, and fill the cache with it.
pub(super) async fn reads_see_acknowledged_writes<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    const WRITES: u64 = 40;
    let key = key();
    let first = insert(probe, &key, &number(0)).await?;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let ends = race((0..probe.options.concurrency).map(|me| {
        let (tier, key, acknowledged) = (Arc::clone(probe.tier), key.clone(), Arc::clone(&acknowledged));
        async move {
            if me > 0 {
                return read_until_written(tier.as_ref(), &key, &acknowledged, WRITES).await;
            }
            let written = write_all(tier.as_ref(), &key, first, &acknowledged, WRITES).await;
            // Ends the readers even if a write failed.
            acknowledged.fetch_max(WRITES, Ordering::SeqCst);
            written
        }
    }));
    ends.await?.into_iter().collect::<Result<Vec<()>, _>>()?;
    let version = shows(probe, "the last value that was acknowledged", &key, WRITES).await?;
    delete(probe, &key, version).await
}

async fn write_all<T: DurableTier>(
    tier: &T,
    key: &str,
    mut base: Version,
    acknowledged: &AtomicU64,
    writes: u64,
) -> Outcome {
    for n in 1..=writes {
        base = done("an update", tier.update(key, base, number(n), later()).await?)?;
        acknowledged.store(n, Ordering::SeqCst);
    }
    Ok(())
}

async fn read_until_written<T: DurableTier>(tier: &T, key: &str, acknowledged: &AtomicU64, writes: u64) -> Outcome {
    let mut last = None;
    loop {
        let acknowledged_before = acknowledged.load(Ordering::SeqCst);
        let Some(found) = tier.read(key).await? else {
            return Err(RuleFailure::new(
                "a record that is only updated to be there",
                "it was gone",
            ));
        };
        let n = parse(&found.value)?;
        ensure(n >= acknowledged_before, "a read to see what was acknowledged", || {
            format!("it saw write {n} after write {acknowledged_before} was acknowledged")
        })?;
        ensure(last <= Some(found.version), "reads never to go back in time", || {
            format!("one saw {:?} after {last:?}", found.version)
        })?;
        last = Some(found.version);
        if acknowledged_before >= writes {
            return Ok(());
        }
        // On a runtime of one thread, a reader that never waits would starve the writer.
        tokio::task::yield_now().await;
    }
}

/// A client that disconnects cancels its request at any await: the call may have been applied or not, and nothing else
/// may have changed.
pub(super) async fn cancelled_calls_do_no_harm<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (victim, kept, own) = (key(), key(), value("own"));
    let base = insert(probe, &victim, &blob(20_000)).await?;
    let version = insert(probe, &kept, &own).await?;
    for polls in 0..8 {
        for call in 0..5 {
            let tier = probe.tier;
            match call {
                0 => cancel_after(tier.read(&victim), polls).await,
                1 => cancel_after(tier.update(&victim, base, blob(20_000), later()), polls).await,
                2 => cancel_after(tier.insert(&key(), blob(20_000), later()), polls).await,
                3 => cancel_after(tier.purge_expired(at(PURGED), 1), polls).await,
                _ => cancel_after(tier.delete(&victim, base), polls).await,
            }
            let read = holds(probe, "another record after a call was cancelled", &kept, &own).await?;
            expect("its version", read, version)?;
            is_absent(
                probe,
                "the record under a key never used, after a call was cancelled",
                &key(),
            )
            .await?;
        }
        let fresh = key();
        let created = insert(probe, &fresh, &own).await?;
        let updated = update(probe, &fresh, created, &own).await?;
        delete(probe, &fresh, updated).await?;
    }
    delete(probe, &kept, version).await
}
