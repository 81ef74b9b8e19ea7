//! Values and keys.

use bytes::Bytes;

use super::{delete, holds, insert, is_absent, later, update};
use crate::conformance::probe::{
    Outcome, Probe, awkward_values, blob, expect, expect_too_large, key, key_of_len, sizes, too_large, value,
};
use crate::tier::DurableTier;

pub(super) async fn values_are_binary<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
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

pub(super) async fn values_are_whole<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    let mut version = insert(probe, &key, &Bytes::new()).await?;
    for size in sizes(probe.tier.max_value_len(), probe.options) {
        let value = blob(size);
        version = update(probe, &key, version, &value).await?;
        holds(probe, "a value of many sizes", &key, &value).await?;
    }
    delete(probe, &key, version).await
}

/// The old record must stay as it was, and the error must contain the size.
pub(super) async fn too_large_changes_nothing<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
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

pub(super) async fn long_keys<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
    for len in [44, 100, 249, 250] {
        let (key, value) = (key_of_len(len), value("long"));
        let version = insert(probe, &key, &value).await?;
        holds(probe, "the record under a long key", &key, &value).await?;
        delete(probe, &key, version).await?;
        is_absent(probe, "the record after a delete", &key).await?;
    }
    Ok(())
}

/// Neither a common prefix nor letter case may confuse two sessions.
pub(super) async fn similar_keys_are_separate<T: DurableTier>(probe: &Probe<'_, T>) -> Outcome {
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
