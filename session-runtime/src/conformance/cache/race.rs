//! Concurrent and cancelled calls.

use std::sync::Arc;

use bytes::Bytes;

use super::{holds, is_absent, stored};
use crate::conformance::probe::{
    LONG, Outcome, Probe, RuleFailure, blob, cancel_after, ensure, expect, key, race, value,
};
use crate::tier::{CacheTier, Swap};

/// How often each race is run: two winners show only now and then.
const ROUNDS: usize = 20;

/// Of many readers that miss at once, only one may fill the cache.
pub(super) async fn one_add_wins<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    for _ in 0..ROUNDS {
        let key = key();
        let values: Vec<Bytes> = (0..probe.options.concurrency).map(|_| value("add")).collect();
        let added = race(values.iter().cloned().map(|value| {
            let (tier, key) = (Arc::clone(probe.tier), key.clone());
            async move { tier.add(&key, value, LONG).await }
        }))
        .await?;
        let added: Vec<bool> = added.into_iter().collect::<Result<_, _>>()?;
        let winners: Vec<&Bytes> = added
            .iter()
            .zip(&values)
            .filter(|(won, _)| **won)
            .map(|(_, v)| v)
            .collect();
        let [winner] = winners.as_slice() else {
            return Err(RuleFailure::new("one add to store", format!("{} did", winners.len())));
        };
        holds(probe, "the value after adds that raced", &key, winner).await?;
    }
    Ok(())
}

/// `swap` alone orders the writers of a cache-only session: a second winner is a lost update.
pub(super) async fn one_swap_wins<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    for _ in 0..ROUNDS {
        let key = key();
        let token = stored(probe, &key, &value("base")).await?;
        let values: Vec<Bytes> = (0..probe.options.concurrency).map(|_| value("swap")).collect();
        let swaps = race(values.iter().cloned().map(|value| {
            let (tier, key) = (Arc::clone(probe.tier), key.clone());
            async move { tier.swap(&key, token, value, LONG).await }
        }))
        .await?;
        let swaps: Vec<Swap> = swaps.into_iter().collect::<Result<_, _>>()?;
        let mut winner = None;
        for (swap, value) in swaps.iter().zip(&values) {
            match swap {
                Swap::Done if winner.is_none() => winner = Some(value),
                Swap::Done => {
                    return Err(RuleFailure::new(
                        "one swap to succeed",
                        format!("they ended as {swaps:?}"),
                    ));
                }
                other => expect("a swap that lost", *other, Swap::Changed)?,
            }
        }
        let winner = winner.ok_or_else(|| RuleFailure::new("one swap to succeed", "none did"))?;
        holds(probe, "the value after swaps that raced", &key, winner).await?;
    }
    Ok(())
}

/// With two winners a destroyed session could come back from the cache.
pub(super) async fn swap_or_remove_wins<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    for round in 0..ROUNDS {
        let (key, new) = (key(), value("new"));
        let token = stored(probe, &key, &value("base")).await?;
        let ends = race((0..2).map(|side| {
            let (tier, key, new) = (Arc::clone(probe.tier), key.clone(), new.clone());
            async move {
                if (side + round) % 2 == 0 {
                    tier.swap(&key, token, new, LONG).await
                } else {
                    tier.remove(&key, token).await
                }
            }
        }))
        .await?;
        let ends: Vec<Swap> = ends.into_iter().collect::<Result<_, _>>()?;
        let done = ends.iter().filter(|end| **end == Swap::Done).count();
        ensure(done == 1, "one of the two to succeed", || {
            format!("they ended as {ends:?}")
        })?;
        let swapped = ends.get(round % 2) == Some(&Swap::Done);
        if swapped {
            holds(probe, "the value after a swap won", &key, &new).await?;
        } else {
            is_absent(probe, "the value after a remove won", &key).await?;
        }
    }
    Ok(())
}

pub(super) async fn readers_see_whole_values<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    let values: Arc<Vec<Bytes>> = Arc::new((1..=4).map(|n| Bytes::from(vec![n; usize::from(n) * 3000])).collect());
    stored(probe, &key, &blob(0)).await?;
    let seen = race((0..probe.options.concurrency).map(|me| {
        let (tier, key, values) = (Arc::clone(probe.tier), key.clone(), Arc::clone(&values));
        async move {
            let mut seen = Vec::new();
            for round in 0..ROUNDS {
                if let Some(value) = values.get((me + round) % values.len()).filter(|_| me % 2 == 0) {
                    tier.set(&key, value.clone(), LONG).await?;
                } else {
                    seen.extend(tier.get(&key).await?.map(|found| found.value));
                }
            }
            Ok::<_, RuleFailure>(seen)
        }
    }))
    .await?;
    for value in seen.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
        ensure(
            value.is_empty() || values.contains(&value),
            "a read to return a value that was written",
            || format!("it returned {} bytes that nobody wrote", value.len()),
        )?;
    }
    Ok(())
}

/// A client that disconnects cancels its request at any await: the next call on the same connection must not get the
/// reply to the cancelled one.
pub(super) async fn cancelled_calls_do_no_harm<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let (victim, kept) = (key(), key());
    let (secret, own) = (blob(20_000), value("own"));
    let token = stored(probe, &victim, &secret).await?;
    stored(probe, &kept, &own).await?;
    for polls in 0..8 {
        for call in 0..5 {
            let tier = probe.tier;
            match call {
                0 => cancel_after(tier.get(&victim), polls).await,
                1 => cancel_after(tier.set(&victim, secret.clone(), LONG), polls).await,
                2 => cancel_after(tier.add(&victim, secret.clone(), LONG), polls).await,
                3 => cancel_after(tier.swap(&victim, token, secret.clone(), LONG), polls).await,
                _ => cancel_after(tier.remove(&victim, token), polls).await,
            }
            holds(probe, "another key's value after a call was cancelled", &kept, &own).await?;
            is_absent(
                probe,
                "the value under a key never used, after a call was cancelled",
                &key(),
            )
            .await?;
        }
        let (fresh, mine) = (key(), value("fresh"));
        let token = stored(probe, &fresh, &mine).await?;
        let swap = probe.tier.swap(&fresh, token, own.clone(), LONG).await?;
        expect("a swap after calls were cancelled", swap, Swap::Done)?;
        holds(probe, "the value swapped after calls were cancelled", &fresh, &own).await?;
    }
    Ok(())
}
