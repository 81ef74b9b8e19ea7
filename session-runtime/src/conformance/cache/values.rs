//! Values and keys.

use bytes::Bytes;

use super::{holds, is_absent, stored};
use crate::conformance::probe::{
    LONG, Outcome, Probe, awkward_values, blob, expect, expect_too_large, key, key_of_len, sizes, too_large, value,
};
use crate::tier::{CacheTier, Swap};

/// Records are binary (CBOR and a MAC): nothing in them may be taken for a part of the tier's protocol.
pub(super) async fn values_are_binary<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    for value in awkward_values() {
        let key = key();
        expect(
            "whether add stored",
            probe.tier.add(&key, value.clone(), LONG).await?,
            true,
        )?;
        let token = holds(probe, "an added value", &key, &value).await?;
        let swap = probe.tier.swap(&key, token, value.clone(), LONG).await?;
        expect("a swap", swap, Swap::Done)?;
        holds(probe, "a swapped value", &key, &value).await?;
        stored(probe, &key, &value).await?;
    }
    Ok(())
}

pub(super) async fn values_are_whole<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    for size in sizes(probe.tier.max_value_len(), probe.options) {
        let (key, value) = (key(), blob(size));
        let token = stored(probe, &key, &value).await?;
        expect("a remove", probe.tier.remove(&key, token).await?, Swap::Done)?;
    }
    Ok(())
}

/// The caller must learn it, to hide the cached value, which is older than the one that it could not store.
pub(super) async fn too_large_changes_nothing<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let Some(size) = too_large(probe.tier.max_value_len()) else {
        return Ok(());
    };
    let (key, old, huge) = (key(), value("old"), blob(size));
    let added = probe.tier.add(&key, huge.clone(), LONG).await;
    expect_too_large("an add", added, size)?;
    is_absent(probe, "the value after an add that was too large", &key).await?;
    let token = stored(probe, &key, &old).await?;
    expect_too_large("a set", probe.tier.set(&key, huge.clone(), LONG).await, size)?;
    expect_too_large("a swap", probe.tier.swap(&key, token, huge, LONG).await, size)?;
    let after = holds(
        probe,
        "the value after a set and a swap that were too large",
        &key,
        &old,
    )
    .await?;
    expect("its token", after, token)
}

pub(super) async fn long_keys<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    for len in [44, 100, 249, 250] {
        let key = key_of_len(len);
        let value = value("long");
        let token = stored(probe, &key, &value).await?;
        expect("a remove", probe.tier.remove(&key, token).await?, Swap::Done)?;
        is_absent(probe, "the value after a remove", &key).await?;
    }
    Ok(())
}

/// Neither a common prefix nor letter case may confuse two sessions.
pub(super) async fn similar_keys_are_separate<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
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
    let values: Vec<Bytes> = keys.iter().map(|_| value("apart")).collect();
    for (key, value) in keys.iter().zip(&values) {
        let added = probe.tier.add(key, value.clone(), LONG).await?;
        expect("whether add stored under a key that resembles others", added, true)?;
    }
    for (at, (key, value)) in keys.iter().zip(&values).enumerate() {
        let token = holds(probe, "the value under a key that resembles others", key, value).await?;
        if at % 2 == 0 {
            expect("a remove", probe.tier.remove(key, token).await?, Swap::Done)?;
        }
    }
    for (at, (key, value)) in keys.iter().zip(&values).enumerate() {
        if at % 2 == 0 {
            is_absent(probe, "the value under a key that was removed", key).await?;
        } else {
            holds(probe, "the value under a key whose neighbours were removed", key, value).await?;
        }
    }
    Ok(())
}
