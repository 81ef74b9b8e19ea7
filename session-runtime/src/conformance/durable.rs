//! The rules of [`DurableTier`], one function each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::probe::{
    Broken, LONG, Outcome, Probe, awkward_values, blob, check, cut, ensure, expect, expect_too_large, expect_value,
    key, key_of_len, race, sizes, too_large, value,
};
use super::{Options, Violation};
use crate::tier::{DurableTier, Stored, TierError, TierErrorKind, Version, Write};

/// Checks every rule of [`DurableTier`]; the first that is broken is the error.
///
/// Records that a rule leaves behind expire within an hour. Nothing here makes a tier's time pass.
pub async fn durable_tier<T: DurableTier>(tier: &Arc<T>, options: &Options) -> Result<(), Violation> {
    let probe = &Probe { tier, options };
    let name = tier.name();
    macro_rules! rules {
        ($($rule:literal => $check:ident;)*) => { $( check(name, options, $rule, $check(probe)).await?; )* };
    }
    rules! {
        "a key without a record reads as none" => nothing_is_there_at_first;
        "insert creates, and never replaces" => insert_only_creates;
        "update replaces exactly the version that it is based on" => update_is_exact;
        "update never creates" => update_never_creates;
        "delete takes exactly the version that it is based on" => delete_is_exact;
        "a late update cannot bring a deleted record back" => deleted_stays_dead;
        "the version that a write gives is the one that a read shows" => versions_agree;
        "every write gives a new version, even of identical content" => equal_content_is_a_new_version;
        "versions grow across delete and re-creation" => versions_outlive_the_record;
        "values come back byte for byte" => values_are_binary;
        "values come back whole at every size" => values_are_whole;
        "a value over the limit is refused as too large and changes nothing" => too_large_changes_nothing;
        "keys of up to 250 printable bytes work" => long_keys;
        "keys do not touch one another" => keys_are_apart;
        "of inserts that race, exactly one creates" => one_insert_wins;
        "of updates that race on one base, exactly one is done" => one_update_wins;
        "of an update and a delete that race on one base, exactly one is done" => update_or_delete_wins;
        "of updates that retry on conflict, none is lost" => no_update_is_lost;
        "a read sees every write that was acknowledged before it" => reads_see_acknowledged_writes;
        "a record past its expires_at still conflicts with an insert" => expired_records_are_there;
        "purging takes only what has expired" => purging_spares_the_living;
        "purging takes no more than its limit" => purging_respects_its_limit;
        "a dropped call leaves the tier fit for the next one" => dropped_calls_do_no_harm;
    }
    Ok(())
}

fn later() -> SystemTime {
    SystemTime::now() + LONG
}

async fn read<T: DurableTier>(probe: &Probe<'_, T>, key: &str) -> Result<Option<Stored>, Broken> {
    Ok(probe.tier.read(key).await?)
}

/// The record under `key` must be `expected`; its version.
async fn holds<T: DurableTier>(
    probe: &Probe<'_, T>,
    what: &str,
    key: &str,
    expected: &Bytes,
) -> Result<Version, Broken> {
    let found = read(probe, key).await?;
    expect_value(what, found.as_ref().map(|found| &found.value), Some(expected))?;
    found
        .map(|found| found.version)
        .ok_or_else(|| Broken::new("a record", "there was none"))
}

async fn is_absent<T: DurableTier>(probe: &Probe<'_, T>, what: &str, key: &str) -> Outcome {
    let found = read(probe, key).await?;
    expect_value(what, found.as_ref().map(|found| &found.value), None)
}

fn done(what: &str, write: Write) -> Result<Version, Broken> {
    match write {
        Write::Done(version) => Ok(version),
        other => Err(Broken::new(format!("{what} to be done"), format!("it was {other:?}"))),
    }
}

async fn insert<T: DurableTier>(probe: &Probe<'_, T>, key: &str, value: &Bytes) -> Result<Version, Broken> {
    done("an insert", probe.tier.insert(key, value.clone(), later()).await?)
}

async fn update<T: DurableTier>(
    probe: &Probe<'_, T>,
    key: &str,
    base: Version,
    value: &Bytes,
) -> Result<Version, Broken> {
    let write = probe.tier.update(key, base, value.clone(), later()).await?;
    done("an update of the current version", write)
}

async fn delete<T: DurableTier>(probe: &Probe<'_, T>, key: &str, base: Version) -> Outcome {
    done("a delete of the current version", probe.tier.delete(key, base).await?).map(drop)
}

/// Versions that must each be larger than the one before.
fn grows(what: &str, versions: &[Version]) -> Outcome {
    let grows = versions
        .iter()
        .zip(versions.iter().skip(1))
        .all(|(before, after)| before < after);
    ensure(grows, &format!("the versions {what} to grow"), || {
        format!("they were {versions:?}")
    })
}

async fn nothing_is_there_at_first<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    is_absent(probe, "the record under a key never used", &key).await?;
    let write = probe.tier.delete(&key, Version(1)).await?;
    expect("a delete where nothing is", write, Write::Missing)
}

/// A session's id is taken by inserting it: two sessions must never share one.
async fn insert_only_creates<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, first, second) = (key(), value("first"), value("second"));
    let version = insert(probe, &key, &first).await?;
    for value in [&second, &first] {
        let write = probe.tier.insert(&key, value.clone(), later()).await?;
        expect("an insert over a record", write, Write::Conflict)?;
    }
    let after = holds(probe, "the record after inserts that conflicted", &key, &first).await?;
    expect("its version", after, version)?;
    delete(probe, &key, version).await
}

/// The order of writers: everything the cascade promises rests on this one comparison.
async fn update_is_exact<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, first, second) = (key(), value("first"), value("second"));
    let base = insert(probe, &key, &first).await?;
    let current = update(probe, &key, base, &second).await?;
    for wrong in [base, Version(base.0.saturating_sub(1)), Version(current.0 + 1)] {
        let write = probe.tier.update(&key, wrong, value("stale"), later()).await?;
        expect(
            "an update of a version that is not the current one",
            write,
            Write::Conflict,
        )?;
    }
    let after = holds(probe, "the record after updates that conflicted", &key, &second).await?;
    expect("its version", after, current)?;
    delete(probe, &key, current).await
}

/// A put in place of an update brings destroyed sessions back.
async fn update_never_creates<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, other) = (key(), key());
    let version = insert(probe, &other, &value("other")).await?;
    for base in [Version(0), Version(1), version] {
        let write = probe.tier.update(&key, base, value("created"), later()).await?;
        expect("an update where there is no record", write, Write::Missing)?;
        is_absent(probe, "the record after an update of none", &key).await?;
    }
    delete(probe, &other, version).await
}

/// An unconditional delete would let a writer's commit, decided meanwhile, be acknowledged and then vanish.
async fn delete_is_exact<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, first, second) = (key(), value("first"), value("second"));
    let base = insert(probe, &key, &first).await?;
    let current = update(probe, &key, base, &second).await?;
    for wrong in [base, Version(current.0 + 1)] {
        let write = probe.tier.delete(&key, wrong).await?;
        expect(
            "a delete of a version that is not the current one",
            write,
            Write::Conflict,
        )?;
        holds(probe, "the record after a delete that conflicted", &key, &second).await?;
    }
    let deleted = done(
        "a delete of the current version",
        probe.tier.delete(&key, current).await?,
    )?;
    ensure(
        deleted >= current,
        "a delete to tell the deleted version or a later one",
        || format!("it told {deleted:?} for {current:?}"),
    )?;
    is_absent(probe, "the record after a delete", &key).await?;
    let write = probe.tier.delete(&key, current).await?;
    expect("a second delete", write, Write::Missing)
}

async fn deleted_stays_dead<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    let version = insert(probe, &key, &value("alive")).await?;
    delete(probe, &key, version).await?;
    for _ in 0..3 {
        let write = probe.tier.update(&key, version, value("revived"), later()).await?;
        expect("an update of a deleted record", write, Write::Missing)?;
        is_absent(probe, "the record after it", &key).await?;
    }
    // Nor may it replace what was created under the same key since.
    let new = value("new");
    let created = insert(probe, &key, &new).await?;
    let write = probe.tier.update(&key, version, value("revived"), later()).await?;
    expect(
        "an update of a version that was deleted before the record was created anew",
        write,
        Write::Conflict,
    )?;
    let write = probe.tier.delete(&key, version).await?;
    expect("a delete of that version", write, Write::Conflict)?;
    holds(probe, "the record that was created anew", &key, &new).await?;
    delete(probe, &key, created).await
}

async fn versions_agree<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    let mut last = value("0");
    let mut version = insert(probe, &key, &last).await?;
    for _ in 0..5 {
        let read = holds(probe, "the record after a write", &key, &last).await?;
        expect("the version that a read shows", read, version)?;
        last = value("next");
        version = update(probe, &key, version, &last).await?;
    }
    delete(probe, &key, version).await
}

/// Two writers of the same content on one base would otherwise both be told that they were the one.
async fn equal_content_is_a_new_version<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, same, at) = (key(), value("same"), later());
    let mut versions = vec![done("an insert", probe.tier.insert(&key, same.clone(), at).await?)?];
    for _ in 0..3 {
        let Some(base) = versions.last().copied() else { break };
        let write = probe.tier.update(&key, base, same.clone(), at).await?;
        versions.push(done("an update with identical content", write)?);
        grows("of identical content", &versions)?;
        let write = probe.tier.update(&key, base, same.clone(), at).await?;
        expect(
            "a second update of the same base with identical content",
            write,
            Write::Conflict,
        )?;
    }
    let version = holds(probe, "the record", &key, &same).await?;
    delete(probe, &key, version).await
}

/// A version that comes again lets a writer from before the deletion take the new record for the old one.
async fn versions_outlive_the_record<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, same) = (key(), value("same"));
    let mut versions = Vec::new();
    for _ in 0..3 {
        let created = insert(probe, &key, &same).await?;
        versions.push(created);
        let updated = update(probe, &key, created, &same).await?;
        versions.push(updated);
        delete(probe, &key, updated).await?;
    }
    grows("of one key, across deletes", &versions)
}

async fn values_are_binary<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    for value in awkward_values() {
        let key = key();
        let version = insert(probe, &key, &value).await?;
        holds(probe, "an inserted value", &key, &value).await?;
        let version = update(probe, &key, version, &value).await?;
        holds(probe, "an updated value", &key, &value).await?;
        delete(probe, &key, version).await?;
    }
    Ok(())
}

async fn values_are_whole<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    let mut version = insert(probe, &key, &Bytes::new()).await?;
    for size in sizes(probe.tier.max_value_len(), probe.options) {
        let value = blob(size);
        version = update(probe, &key, version, &value).await?;
        holds(probe, "a value of many sizes", &key, &value).await?;
    }
    delete(probe, &key, version).await
}

/// The old record must stay as it was, and the user be told which limit was met.
async fn too_large_changes_nothing<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let Some(size) = too_large(probe.tier.max_value_len()) else {
        return Ok(());
    };
    let (key, old, huge) = (key(), value("old"), blob(size));
    let inserted = probe.tier.insert(&key, huge.clone(), later()).await;
    expect_too_large("an insert", inserted, size)?;
    is_absent(probe, "the record after an insert that was too large", &key).await?;
    let version = insert(probe, &key, &old).await?;
    let updated = probe.tier.update(&key, version, huge, later()).await;
    expect_too_large("an update", updated, size)?;
    let after = holds(probe, "the record after an update that was too large", &key, &old).await?;
    expect("its version", after, version)?;
    delete(probe, &key, version).await
}

async fn long_keys<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    for len in [44, 100, 249, 250] {
        let (key, value) = (key_of_len(len), value("long"));
        let version = insert(probe, &key, &value).await?;
        holds(probe, "the record under a long key", &key, &value).await?;
        delete(probe, &key, version).await?;
        is_absent(probe, "the record after a delete", &key).await?;
    }
    Ok(())
}

/// Neither a common start nor letter case may mix up two sessions.
async fn keys_are_apart<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let base = key();
    let long = key_of_len(249);
    let keys = [
        base.clone(),
        format!("{base}x"),
        base.to_uppercase(),
        format!("{base}."),
        format!("{long}1"),
        format!("{long}2"),
    ];
    let mut records = Vec::new();
    for key in keys {
        let value = value("apart");
        let version = insert(probe, &key, &value).await?;
        records.push((key, value, version));
    }
    for (key, value, version) in &records {
        let read = holds(probe, "the record under a key that resembles others", key, value).await?;
        expect("its version", read, *version)?;
        delete(probe, key, *version).await?;
        is_absent(probe, "the record after a delete", key).await?;
    }
    Ok(())
}

/// Rounds of each race: one that two winners come out of shows only now and then.
const ROUNDS: usize = 10;

/// How the writers of a race ended: a tier may turn some away for now, which applies nothing.
fn ends(results: Vec<Result<Write, TierError>>) -> Result<Vec<Option<Write>>, Broken> {
    let end = |result: Result<Write, TierError>| match result {
        Ok(write) => Ok(Some(write)),
        Err(error) if error.kind() == TierErrorKind::Unavailable => Ok(None),
        Err(error) => Err(error.into()),
    };
    results.into_iter().map(end).collect()
}

/// The one that is done, by its place, and its version.
fn only_winner(ends: &[Option<Write>]) -> Result<(usize, Version), Broken> {
    let mut winners = ends.iter().enumerate().filter_map(|(at, end)| match end {
        Some(Write::Done(version)) => Some((at, *version)),
        _ => None,
    });
    match (winners.next(), winners.next()) {
        (Some(winner), None) => Ok(winner),
        _ => Err(Broken::new("one to be done", format!("they ended as {ends:?}"))),
    }
}

async fn one_insert_wins<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    for _ in 0..ROUNDS {
        let key = key();
        let values: Vec<Bytes> = (0..probe.options.contenders).map(|_| value("insert")).collect();
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

async fn one_update_wins<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    let mut base = insert(probe, &key, &value("base")).await?;
    for _ in 0..ROUNDS {
        let values: Vec<Bytes> = (0..probe.options.contenders).map(|_| value("update")).collect();
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

async fn update_or_delete_wins<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
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

/// Increments of each contender; attempts are bounded, as one writer may be unlucky for long.
const INCREMENTS: u64 = 10;
const ATTEMPTS: u64 = 10_000;

async fn no_update_is_lost<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    insert(probe, &key, &number(0)).await?;
    let counts = race((0..probe.options.contenders).map(|_| increment(Arc::clone(probe.tier), key.clone()))).await?;
    let total: u64 = counts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().sum();
    let version = holds(probe, "the sum of all increments", &key, &number(total)).await?;
    delete(probe, &key, version).await
}

async fn increment<T: DurableTier>(tier: Arc<T>, key: String) -> Result<u64, Broken> {
    let mut counted = 0;
    for _ in 0..ATTEMPTS {
        if counted == INCREMENTS {
            break;
        }
        let Some(found) = tier.read(&key).await? else {
            return Err(Broken::new("a record that is only updated to be there", "it was gone"));
        };
        let value = number(parse(&found.value)? + 1);
        match tier.update(&key, found.version, value, later()).await {
            Ok(Write::Done(_)) => counted += 1,
            Ok(Write::Conflict) => {}
            Ok(Write::Missing) => return Err(Broken::new("an update to be done or to conflict", "it was Missing")),
            Err(error) if error.kind() == TierErrorKind::Unavailable => {}
            Err(error) => return Err(error.into()),
        }
    }
    if counted == INCREMENTS {
        return Ok(counted);
    }
    Err(Broken::new(
        format!("{INCREMENTS} updates to be done within {ATTEMPTS} attempts"),
        format!("{counted} were"),
    ))
}

fn number(number: u64) -> Bytes {
    Bytes::from(number.to_string())
}

fn parse(value: &[u8]) -> Result<u64, Broken> {
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| Broken::new("a read to give what was written", format!("it gave {value:?}")))
}

/// A reader that is told less than what someone was promised serves a stale session, and fills the cache with it.
async fn reads_see_acknowledged_writes<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    const WRITES: u64 = 40;
    let key = key();
    let first = insert(probe, &key, &number(0)).await?;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let ends = race((0..probe.options.contenders).map(|me| {
        let (tier, key, acknowledged) = (Arc::clone(probe.tier), key.clone(), Arc::clone(&acknowledged));
        async move {
            if me > 0 {
                return watch(tier.as_ref(), &key, &acknowledged, WRITES).await;
            }
            let written = write_all(tier.as_ref(), &key, first, &acknowledged, WRITES).await;
            // Whatever happened, the readers are not to wait for more.
            acknowledged.fetch_max(WRITES, Ordering::SeqCst);
            written
        }
    }));
    ends.await?.into_iter().collect::<Result<Vec<()>, _>>()?;
    let version = holds(probe, "the last value that was acknowledged", &key, &number(WRITES)).await?;
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

async fn watch<T: DurableTier>(tier: &T, key: &str, acknowledged: &AtomicU64, writes: u64) -> Outcome {
    let mut last = None;
    loop {
        let at_least = acknowledged.load(Ordering::SeqCst);
        let Some(found) = tier.read(key).await? else {
            return Err(Broken::new("a record that is only updated to be there", "it was gone"));
        };
        let n = parse(&found.value)?;
        ensure(n >= at_least, "a read to see what was acknowledged", || {
            format!("it saw write {n} after write {at_least} was acknowledged")
        })?;
        ensure(last <= Some(found.version), "reads never to go back in time", || {
            format!("one saw {:?} after {last:?}", found.version)
        })?;
        last = Some(found.version);
        if at_least >= writes {
            return Ok(());
        }
        // Whoever never waits would keep a runtime of one thread from the writer.
        tokio::task::yield_now().await;
    }
}

/// The moments of the rules about purging lie in the first hours of 1970: no real record expires then, so that on a
/// shared server nobody's records are purged but ours.
const EXPIRED: Duration = Duration::from_secs(1_000);
const PURGED: Duration = Duration::from_secs(2_000);
/// Past as well, but after [`PURGED`]: a tier that goes by a clock of its own, and not by the moment it is given, shows.
const NOT_YET: Duration = Duration::from_secs(3_000);

fn at(since_epoch: Duration) -> SystemTime {
    SystemTime::UNIX_EPOCH + since_epoch
}

/// A deadline is the caller's to check: a tier that hid the record by itself would let its id be taken again.
async fn expired_records_are_there<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, value) = (key(), value("expired"));
    // Past, but after any moment that the rules purge at.
    let write = probe.tier.insert(&key, value.clone(), at(NOT_YET)).await?;
    let version = done("an insert", write)?;
    let again = probe.tier.insert(&key, value.clone(), later()).await?;
    expect("an insert over an expired record", again, Write::Conflict)?;
    let read = holds(probe, "an expired record that nobody purged", &key, &value).await?;
    expect("its version", read, version)?;
    delete(probe, &key, version).await
}

/// Purges until nothing is left to purge; how many were, at most.
async fn purge_all<T: DurableTier>(probe: &Probe<'_, T>) -> Result<usize, Broken> {
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
    Err(Broken::new(
        "nothing to be left to purge",
        format!("{CALLS} calls found more each time"),
    ))
}

async fn purging_spares_the_living<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (expired, living, not_yet, extended, shortened) = (key(), key(), key(), key(), key());
    let value = value("purge");
    let insert_at = async |key: &str, expires_at| {
        let write = probe.tier.insert(key, value.clone(), expires_at).await?;
        done("an insert", write)
    };
    insert_at(&expired, at(EXPIRED)).await?;
    insert_at(&living, later()).await?;
    insert_at(&not_yet, at(NOT_YET)).await?;
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
    for (what, key) in [
        ("a living record after a purge", &living),
        ("a record that expires after the moment that was purged at", &not_yet),
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

async fn purging_respects_its_limit<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    const RECORDS: usize = 5;
    let keys: BTreeSet<String> = (0..RECORDS).map(|_| key()).collect();
    for key in &keys {
        done("an insert", probe.tier.insert(key, value("purge"), at(EXPIRED)).await?)?;
    }
    for limit in [0, 2] {
        let purged = probe.tier.purge_expired(at(PURGED), limit).await?;
        ensure(purged <= limit, "a purge to stop at its limit", || {
            format!("it told {purged} for {limit}")
        })?;
        let mut left = 0;
        for key in &keys {
            left += usize::from(read(probe, key).await?.is_some());
        }
        ensure(left + limit >= RECORDS, "a purge to stop at its limit", || {
            format!("with a limit of {limit} it left {left} of {RECORDS}")
        })?;
    }
    purge_all(probe).await?;
    for key in &keys {
        is_absent(probe, "an expired record after purging all", key).await?;
    }
    Ok(())
}

/// A client that hangs up drops its request's future anywhere; what it had asked for may or may not be done, and
/// nothing else may be different.
async fn dropped_calls_do_no_harm<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (victim, kept, own) = (key(), key(), value("own"));
    let base = insert(probe, &victim, &blob(20_000)).await?;
    let version = insert(probe, &kept, &own).await?;
    for polls in 0..8 {
        for call in 0..5 {
            let tier = probe.tier;
            match call {
                0 => cut(tier.read(&victim), polls).await,
                1 => cut(tier.update(&victim, base, blob(20_000), later()), polls).await,
                2 => cut(tier.insert(&key(), blob(20_000), later()), polls).await,
                3 => cut(tier.purge_expired(at(PURGED), 1), polls).await,
                _ => cut(tier.delete(&victim, base), polls).await,
            }
            let read = holds(probe, "another record after a call was dropped", &kept, &own).await?;
            expect("its version", read, version)?;
            is_absent(
                probe,
                "the record under a key never used, after a call was dropped",
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
