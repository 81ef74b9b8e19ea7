//! What each call does to the record under a key, and the versions it gives.

use super::{delete, done, holds, insert, is_absent, later, update};
use crate::conformance::probe::{Outcome, Probe, ensure, expect, key, value};
use crate::tier::{DurableTier, Version, Write};

/// Each version must be larger than the one before.
fn grows(what: &str, versions: &[Version]) -> Outcome {
    let grows = versions
        .iter()
        .zip(versions.iter().skip(1))
        .all(|(before, after)| before < after);
    ensure(grows, &format!("the versions {what} to increase"), || {
        format!("they were {versions:?}")
    })
}

pub(super) async fn unused_keys_are_absent<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    is_absent(probe, "the record under a key never used", &key).await?;
    let write = probe.tier.delete(&key, Version(1)).await?;
    expect("a delete where there is no record", write, Write::Missing)
}

/// A session's key is reserved by inserting its record: two sessions must never share one.
pub(super) async fn insert_only_creates<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
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

/// This comparison orders the writers of a session; every promise of the store depends on it.
pub(super) async fn update_is_exact<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
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

/// An update that inserts would bring destroyed sessions back.
pub(super) async fn update_never_creates<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, other) = (key(), key());
    let version = insert(probe, &other, &value("other")).await?;
    for base in [Version(0), Version(1), version] {
        let write = probe.tier.update(&key, base, value("created"), later()).await?;
        expect("an update where there is no record", write, Write::Missing)?;
        is_absent(probe, "the record after an update of none", &key).await?;
    }
    delete(probe, &other, version).await
}

/// An unconditional delete would remove a commit that was acknowledged meanwhile.
pub(super) async fn delete_is_exact<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
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
        "a delete to return the deleted version or a later one",
        || format!("it returned {deleted:?} for {current:?}"),
    )?;
    is_absent(probe, "the record after a delete", &key).await?;
    let write = probe.tier.delete(&key, current).await?;
    expect("a second delete", write, Write::Missing)
}

pub(super) async fn deleted_stays_deleted<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    let version = insert(probe, &key, &value("alive")).await?;
    delete(probe, &key, version).await?;
    for _ in 0..3 {
        let write = probe.tier.update(&key, version, value("revived"), later()).await?;
        expect("an update of a deleted record", write, Write::Missing)?;
        is_absent(probe, "the record after it", &key).await?;
    }
    // Nor may it replace a record that was created under the same key since.
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

pub(super) async fn versions_agree<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    let mut last = value("0");
    let mut version = insert(probe, &key, &last).await?;
    for _ in 0..5 {
        let read = holds(probe, "the record after a write", &key, &last).await?;
        expect("the version that a read returns", read, version)?;
        last = value("next");
        version = update(probe, &key, version, &last).await?;
    }
    delete(probe, &key, version).await
}

/// The tier decides whether that is a new version: no two commits of a store have the same content.
pub(super) async fn equal_content_has_a_version<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, same, at) = (key(), value("same"), later());
    let mut base = done("an insert", probe.tier.insert(&key, same.clone(), at).await?)?;
    for _ in 0..3 {
        let write = probe.tier.update(&key, base, same.clone(), at).await?;
        let version = done("an update with identical content", write)?;
        ensure(version >= base, "its version not to be an older one", || {
            format!("it was {version:?} after {base:?}")
        })?;
        let read = holds(probe, "the record", &key, &same).await?;
        expect("the version that a read returns", read, version)?;
        base = version;
    }
    delete(probe, &key, base).await
}

/// With a reused version a writer from before the deletion would take the new record for the old one.
pub(super) async fn versions_increase_across_deletion<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, same, other) = (key(), value("same"), value("other"));
    let mut versions = Vec::new();
    for _ in 0..3 {
        let created = insert(probe, &key, &same).await?;
        versions.push(created);
        let updated = update(probe, &key, created, &other).await?;
        versions.push(updated);
        delete(probe, &key, updated).await?;
    }
    grows("of one key, across deletes", &versions)
}
