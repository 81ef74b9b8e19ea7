//! What each call does to the value under a key.

use std::collections::HashSet;

use bytes::Bytes;

use super::{holds, is_absent, stored};
use crate::conformance::probe::{LONG, Outcome, Probe, ensure, expect, key, value};
use crate::tier::{CacheTier, Swap, Token};

/// A miss is not an error: the store then reads the durable tier.
pub(super) async fn unused_keys_are_absent<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    is_absent(probe, "the value under a key never used", &key).await?;
    let swap = probe.tier.swap(&key, Token(1), value("swapped"), LONG).await?;
    expect("a swap where there is no value", swap, Swap::Missing)?;
    let remove = probe.tier.remove(&key, Token(1)).await?;
    expect("a remove where there is no value", remove, Swap::Missing)?;
    is_absent(probe, "the value under it after a swap and a remove", &key).await
}

/// A reader stores its lease by `add`: a lease over a writer's fence would let it fill the cache with an old value.
pub(super) async fn add_stores_only_where_there_is_no_value<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, first, second) = (key(), value("first"), value("second"));
    let added = probe.tier.add(&key, first.clone(), LONG).await?;
    expect("whether add stored where there was no value", added, true)?;
    let token = holds(probe, "the added value", &key, &first).await?;
    let added = probe.tier.add(&key, second.clone(), LONG).await?;
    expect("whether add stored over a value", added, false)?;
    let after = holds(probe, "the value after an add that did not store", &key, &first).await?;
    expect("its token", after, token)?;
    expect("a remove", probe.tier.remove(&key, token).await?, Swap::Done)?;
    let added = probe.tier.add(&key, second.clone(), LONG).await?;
    expect("whether add stored after a remove", added, true)?;
    holds(probe, "the value added after a remove", &key, &second)
        .await
        .map(drop)
}

/// A writer stores its fence by `set`: later readers must not see the value that it hides.
pub(super) async fn set_replaces_any_value<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    for (letter, size) in [(b'a', 8), (b'b', 60_000), (b'c', 0), (b'd', 300), (b'e', 300)] {
        let value = Bytes::from(vec![letter; size]);
        probe.tier.set(&key, value.clone(), LONG).await?;
        holds(probe, "the value after a set", &key, &value).await?;
    }
    Ok(())
}

/// A value that is replaced and stored again must not have its first token (the ABA problem): a reader could fill the
/// cache by a lease that a writer's fence has replaced.
pub(super) async fn tokens_are_fresh<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, same) = (key(), value("same"));
    let mut tokens = vec![stored(probe, &key, &same).await?];
    for _ in 0..4 {
        let last = stored(probe, &key, &same).await?;
        tokens.push(last);
        let swapped = probe.tier.swap(&key, last, same.clone(), LONG).await?;
        expect("a swap on the current token", swapped, Swap::Done)?;
        let last = holds(probe, "the value after a swap for an equal one", &key, &same).await?;
        tokens.push(last);
        expect(
            "a remove on the current token",
            probe.tier.remove(&key, last).await?,
            Swap::Done,
        )?;
        expect(
            "whether add stored",
            probe.tier.add(&key, same.clone(), LONG).await?,
            true,
        )?;
        tokens.push(holds(probe, "the value after remove and add", &key, &same).await?);
    }
    let distinct: HashSet<Token> = tokens.iter().copied().collect();
    ensure(
        distinct.len() == tokens.len(),
        "every store of an equal value to give a new token",
        || format!("{} stores gave {} tokens", tokens.len(), distinct.len()),
    )?;
    // None of the old tokens is valid.
    let Some((current, old)) = tokens.split_last() else {
        return Ok(());
    };
    for token in old {
        let swap = probe.tier.swap(&key, *token, value("stale"), LONG).await?;
        expect(
            "a swap on a token from before an equal value was stored",
            swap,
            Swap::Changed,
        )?;
    }
    let token = holds(probe, "the value after swaps on old tokens", &key, &same).await?;
    expect("its token", token, *current)?;
    let again = holds(probe, "the value read again", &key, &same).await?;
    expect("the token of a value that was only read", again, token)
}

pub(super) async fn swap_is_exact<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, first, second) = (key(), value("first"), value("second"));
    let token = stored(probe, &key, &first).await?;
    let swap = probe.tier.swap(&key, token, second.clone(), LONG).await?;
    expect("a swap on the current token", swap, Swap::Done)?;
    let current = holds(probe, "the value after a swap", &key, &second).await?;
    let swap = probe.tier.swap(&key, token, value("stale"), LONG).await?;
    expect("a swap on a token that was used up", swap, Swap::Changed)?;
    let after = holds(probe, "the value after a swap that failed", &key, &second).await?;
    expect("its token", after, current)?;
    expect("a remove", probe.tier.remove(&key, current).await?, Swap::Done)?;
    let swap = probe.tier.swap(&key, current, value("revived"), LONG).await?;
    expect("a swap on the token of a removed value", swap, Swap::Missing)?;
    is_absent(probe, "the value after a swap on a removed one", &key).await
}

/// A writer removes what it has read, never what another caller has stored since.
pub(super) async fn remove_is_exact<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, first, second) = (key(), value("first"), value("second"));
    let old = stored(probe, &key, &first).await?;
    let current = stored(probe, &key, &second).await?;
    let remove = probe.tier.remove(&key, old).await?;
    expect("a remove on a token that was used up", remove, Swap::Changed)?;
    holds(probe, "the value after a remove that failed", &key, &second).await?;
    let remove = probe.tier.remove(&key, current).await?;
    expect("a remove on the current token", remove, Swap::Done)?;
    is_absent(probe, "the value after a remove", &key).await?;
    let remove = probe.tier.remove(&key, current).await?;
    expect("a second remove", remove, Swap::Missing)
}

pub(super) async fn tokens_belong_to_their_key<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let (here, there, same) = (key(), key(), value("same"));
    let foreign = stored(probe, &there, &same).await?;
    let own = stored(probe, &here, &same).await?;
    // Tokens may be counted per key, and so be equal by chance.
    if foreign == own {
        return Ok(());
    }
    let swap = probe.tier.swap(&here, foreign, value("crossed"), LONG).await?;
    expect("a swap on another key's token", swap, Swap::Changed)?;
    holds(probe, "the value after it", &here, &same).await.map(drop)
}
