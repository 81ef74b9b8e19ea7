//! Lifetimes.

use std::time::Duration;

use super::{holds, is_absent, stored};
use crate::conformance::probe::{LONG, Outcome, Probe, expect, key, value};
use crate::tier::{CacheTier, Swap};

/// The TTL of a lease, in whole seconds: memcached has no smaller unit.
const TTL: Duration = Duration::from_secs(10);

fn pass<T>(probe: &Probe<'_, T>, time: Duration) {
    if let Some(pass) = &probe.options.pass_time {
        pass(time);
    }
}

pub(super) async fn values_expire<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let (added, set, swapped, lasting, value) = (key(), key(), key(), key(), value("ttl"));
    probe.tier.add(&added, value.clone(), TTL).await?;
    probe.tier.set(&set, value.clone(), TTL).await?;
    let token = stored(probe, &swapped, &value).await?;
    let swap = probe.tier.swap(&swapped, token, value.clone(), TTL).await?;
    expect("a swap", swap, Swap::Done)?;
    stored(probe, &lasting, &value).await?;
    pass(probe, TTL / 2);
    for key in [&added, &set, &swapped, &lasting] {
        holds(probe, "a value after half of its TTL", key, &value).await?;
    }
    pass(probe, TTL);
    for key in [&added, &set, &swapped] {
        is_absent(probe, "a value after its TTL", key).await?;
    }
    holds(probe, "a value with a longer TTL", &lasting, &value)
        .await
        .map(drop)
}

pub(super) async fn writes_renew_the_ttl<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, value) = (key(), value("renewed"));
    probe.tier.set(&key, value.clone(), TTL).await?;
    pass(probe, TTL / 2);
    probe.tier.set(&key, value.clone(), TTL).await?;
    pass(probe, TTL * 3 / 4);
    let token = holds(probe, "a value that was set again since", &key, &value).await?;
    let swap = probe.tier.swap(&key, token, value.clone(), TTL).await?;
    expect("a swap", swap, Swap::Done)?;
    pass(probe, TTL * 3 / 4);
    holds(probe, "a value that was swapped since", &key, &value).await?;
    pass(probe, TTL);
    is_absent(probe, "a value after its last TTL", &key).await
}

pub(super) async fn expired_values_are_absent<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, old, new) = (key(), value("old"), value("new"));
    probe.tier.set(&key, old.clone(), TTL).await?;
    let token = holds(probe, "the value that was just set", &key, &old).await?;
    pass(probe, TTL * 2);
    let swap = probe.tier.swap(&key, token, value("revived"), LONG).await?;
    expect("a swap of an expired value", swap, Swap::Missing)?;
    let remove = probe.tier.remove(&key, token).await?;
    expect("a remove of it", remove, Swap::Missing)?;
    let added = probe.tier.add(&key, new.clone(), LONG).await?;
    expect("whether add stored over an expired value", added, true)?;
    holds(probe, "the value added there", &key, &new).await.map(drop)
}
