//! The rules of [`CacheTier`], one function each.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::probe::{
    Broken, LONG, Outcome, Probe, awkward_values, blob, check, cut, ensure, expect, expect_too_large, expect_value,
    key, key_of_len, race, sizes, too_large, value,
};
use super::{Options, Violation};
use crate::tier::{CacheTier, Cached, Swap, Token};

/// Checks every rule of [`CacheTier`]; the first that is broken is the error.
///
/// The rules about lifetimes need [`Options::with_passing_time`] and are left out without it.
pub async fn cache_tier<T: CacheTier>(tier: &Arc<T>, options: &Options) -> Result<(), Violation> {
    let probe = &Probe { tier, options };
    let name = tier.name();
    macro_rules! rules {
        ($($rule:literal => $check:ident;)*) => { $( check(name, options, $rule, $check(probe)).await?; )* };
    }
    rules! {
        "a key under which nothing lies has no value" => nothing_is_there_at_first;
        "add stores only where nothing lies" => add_only_where_nothing_lies;
        "set stores over whatever lies there" => set_hides_the_old_value;
        "a token changes with every stored value, even for equal ones" => tokens_are_fresh;
        "swap replaces exactly the value that its token names" => swap_is_exact;
        "remove takes exactly the value that its token names" => remove_is_exact;
        "a token of another key is no token of this one" => tokens_belong_to_their_key;
        "values come back byte for byte" => values_are_binary;
        "values come back whole at every size" => values_are_whole;
        "a value over the limit is refused as too large and changes nothing" => too_large_changes_nothing;
        "keys of up to 250 printable bytes work" => long_keys;
        "keys do not touch one another" => keys_are_apart;
        "of adds that race, exactly one stores" => one_add_wins;
        "of swaps that race for one token, exactly one is done" => one_swap_wins;
        "of a swap and a remove that race for one token, exactly one is done" => swap_or_remove_wins;
        "a reader that races with writers sees what one of them wrote" => readers_see_whole_values;
        "a dropped call leaves the tier fit for the next one" => dropped_calls_do_no_harm;
    }
    if options.pass_time.is_some() {
        rules! {
            "a value is gone once its ttl has passed, and not before" => a_ttl_ends;
            "each write begins a new ttl" => writes_renew_the_ttl;
            "where a value has outlived its ttl, nothing lies" => nothing_lies_after_the_ttl;
        }
    }
    Ok(())
}

async fn get<T: CacheTier>(probe: &Probe<'_, T>, key: &str) -> Result<Option<Cached>, Broken> {
    Ok(probe.tier.get(key).await?)
}

/// The value under `key` must be `expected`; its token.
async fn holds<T: CacheTier>(probe: &Probe<'_, T>, what: &str, key: &str, expected: &Bytes) -> Result<Token, Broken> {
    let found = get(probe, key).await?;
    expect_value(what, found.as_ref().map(|found| &found.value), Some(expected))?;
    found
        .map(|found| found.token)
        .ok_or_else(|| Broken::new("a value", "there was none"))
}

async fn is_absent<T: CacheTier>(probe: &Probe<'_, T>, what: &str, key: &str) -> Outcome {
    let found = get(probe, key).await?;
    expect_value(what, found.as_ref().map(|found| &found.value), None)
}

/// Stores `value` and gives its token.
async fn stored<T: CacheTier>(probe: &Probe<'_, T>, key: &str, value: &Bytes) -> Result<Token, Broken> {
    probe.tier.set(key, value.clone(), LONG).await?;
    holds(probe, "the value that was just set", key, value).await
}

/// A miss is an answer, not an error: the cascade goes on to the durable tier.
async fn nothing_is_there_at_first<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    is_absent(probe, "the value under a key never used", &key).await?;
    let swap = probe.tier.swap(&key, Token(1), value("swapped"), LONG).await?;
    expect("a swap where nothing lies", swap, Swap::Missing)?;
    let remove = probe.tier.remove(&key, Token(1)).await?;
    expect("a remove where nothing lies", remove, Swap::Missing)?;
    is_absent(probe, "the value under it after a swap and a remove", &key).await
}

/// A reader's lease is an `add`: over a writer's fence it would let a stale value be revealed.
async fn add_only_where_nothing_lies<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, first, second) = (key(), value("first"), value("second"));
    let added = probe.tier.add(&key, first.clone(), LONG).await?;
    expect("whether add stored where nothing lay", added, true)?;
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

/// A writer's fence is a `set`: whoever reads afterwards must not be served what it hides.
async fn set_hides_the_old_value<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    for size in [8, 60_000, 0, 300] {
        let value = blob(size);
        probe.tier.set(&key, value.clone(), LONG).await?;
        holds(probe, "the value after a set", &key, &value).await?;
    }
    Ok(())
}

/// A, then B, then A again must not look like A all along, or a reader's old lease would reveal an old value.
async fn tokens_are_fresh<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
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
    // And so each of the old ones is worth nothing.
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
    expect("the token of a value that nobody touched", again, token)
}

async fn swap_is_exact<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
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

/// A writer removes what it read, never what another has put there since.
async fn remove_is_exact<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
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

async fn tokens_belong_to_their_key<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let (here, there, same) = (key(), key(), value("same"));
    let foreign = stored(probe, &there, &same).await?;
    let own = stored(probe, &here, &same).await?;
    // Tokens may be counted for each key, so they may happen to be equal; then there is nothing to tell apart.
    if foreign == own {
        return Ok(());
    }
    let swap = probe.tier.swap(&here, foreign, value("crossed"), LONG).await?;
    expect("a swap on another key's token", swap, Swap::Changed)?;
    holds(probe, "the value after it", &here, &same).await.map(drop)
}

/// Records are ciphers and CBOR: nothing in them may be read as part of a protocol.
async fn values_are_binary<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
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

async fn values_are_whole<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    for size in sizes(probe.tier.max_value_len(), probe.options) {
        let (key, value) = (key(), blob(size));
        let token = stored(probe, &key, &value).await?;
        expect("a remove", probe.tier.remove(&key, token).await?, Swap::Done)?;
    }
    Ok(())
}

/// Only then does the caller know to hide what lies there, which is older than what it could not store.
async fn too_large_changes_nothing<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
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

async fn long_keys<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    for len in [44, 100, 249, 250] {
        let key = key_of_len(len);
        let value = value("long");
        let token = stored(probe, &key, &value).await?;
        expect("a remove", probe.tier.remove(&key, token).await?, Swap::Done)?;
        is_absent(probe, "the value after a remove", &key).await?;
    }
    Ok(())
}

/// Neither a common start, nor letter case, nor a common hash may mix up two sessions.
async fn keys_are_apart<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
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

/// Rounds of each race: one that two winners come out of shows only now and then.
const ROUNDS: usize = 20;

/// Of many readers that miss at once, one may fill the cache.
async fn one_add_wins<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    for _ in 0..ROUNDS {
        let key = key();
        let values: Vec<Bytes> = (0..probe.options.contenders).map(|_| value("add")).collect();
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
            return Err(Broken::new("one add to store", format!("{} did", winners.len())));
        };
        holds(probe, "the value after adds that raced", &key, winner).await?;
    }
    Ok(())
}

/// The cache-only sessions have no other order among their writers: a second winner is a lost update.
async fn one_swap_wins<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    for _ in 0..ROUNDS {
        let key = key();
        let token = stored(probe, &key, &value("base")).await?;
        let values: Vec<Bytes> = (0..probe.options.contenders).map(|_| value("swap")).collect();
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
                Swap::Done => return Err(Broken::new("one swap to be done", format!("they ended as {swaps:?}"))),
                other => expect("a swap that lost", *other, Swap::Changed)?,
            }
        }
        let winner = winner.ok_or_else(|| Broken::new("one swap to be done", "none was"))?;
        holds(probe, "the value after swaps that raced", &key, winner).await?;
    }
    Ok(())
}

/// Otherwise a destroyed session could come back from the cache.
async fn swap_or_remove_wins<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
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
        ensure(done == 1, "one of the two to be done", || {
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

async fn readers_see_whole_values<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let key = key();
    let values: Arc<Vec<Bytes>> = Arc::new((1..=4).map(|n| Bytes::from(vec![n; usize::from(n) * 3000])).collect());
    stored(probe, &key, &blob(0)).await?;
    let seen = race((0..probe.options.contenders).map(|me| {
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
            Ok::<_, Broken>(seen)
        }
    }))
    .await?;
    for value in seen.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
        ensure(
            value.is_empty() || values.contains(&value),
            "a read to give a value that was written",
            || format!("it gave {} bytes that nobody wrote", value.len()),
        )?;
    }
    Ok(())
}

/// A client that hangs up drops its request's future anywhere; the next user of the same connection must not be given
/// the answer that nobody read.
async fn dropped_calls_do_no_harm<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let (victim, kept) = (key(), key());
    let (secret, own) = (blob(20_000), value("own"));
    let token = stored(probe, &victim, &secret).await?;
    stored(probe, &kept, &own).await?;
    for polls in 0..8 {
        for call in 0..5 {
            let tier = probe.tier;
            match call {
                0 => cut(tier.get(&victim), polls).await,
                1 => cut(tier.set(&victim, secret.clone(), LONG), polls).await,
                2 => cut(tier.add(&victim, secret.clone(), LONG), polls).await,
                3 => cut(tier.swap(&victim, token, secret.clone(), LONG), polls).await,
                _ => cut(tier.remove(&victim, token), polls).await,
            }
            holds(probe, "another key's value after a call was dropped", &kept, &own).await?;
            is_absent(
                probe,
                "the value under a key never used, after a call was dropped",
                &key(),
            )
            .await?;
        }
        let (fresh, mine) = (key(), value("fresh"));
        let token = stored(probe, &fresh, &mine).await?;
        let swap = probe.tier.swap(&fresh, token, own.clone(), LONG).await?;
        expect("a swap after calls were dropped", swap, Swap::Done)?;
        holds(probe, "the value swapped after calls were dropped", &fresh, &own).await?;
    }
    Ok(())
}

/// A lifetime as leases have it, in whole seconds: memcached knows no smaller unit.
const TTL: Duration = Duration::from_secs(10);

fn pass<T>(probe: &Probe<'_, T>, time: Duration) {
    if let Some(pass) = &probe.options.pass_time {
        pass(time);
    }
}

async fn a_ttl_ends<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let (added, set, swapped, lasting, value) = (key(), key(), key(), key(), value("ttl"));
    probe.tier.add(&added, value.clone(), TTL).await?;
    probe.tier.set(&set, value.clone(), TTL).await?;
    let token = stored(probe, &swapped, &value).await?;
    let swap = probe.tier.swap(&swapped, token, value.clone(), TTL).await?;
    expect("a swap", swap, Swap::Done)?;
    stored(probe, &lasting, &value).await?;
    pass(probe, TTL / 2);
    for key in [&added, &set, &swapped, &lasting] {
        holds(probe, "a value half-way through its ttl", key, &value).await?;
    }
    pass(probe, TTL);
    for key in [&added, &set, &swapped] {
        is_absent(probe, "a value that has outlived its ttl", key).await?;
    }
    holds(probe, "a value with a longer ttl", &lasting, &value)
        .await
        .map(drop)
}

async fn writes_renew_the_ttl<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
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
    is_absent(probe, "a value that has outlived its last ttl", &key).await
}

async fn nothing_lies_after_the_ttl<T: CacheTier>(probe: &Probe<'_, T>) -> Outcome {
    let (key, old, new) = (key(), value("old"), value("new"));
    probe.tier.set(&key, old.clone(), TTL).await?;
    let token = holds(probe, "the value that was just set", &key, &old).await?;
    pass(probe, TTL * 2);
    let swap = probe.tier.swap(&key, token, value("revived"), LONG).await?;
    expect("a swap on a value that has outlived its ttl", swap, Swap::Missing)?;
    let remove = probe.tier.remove(&key, token).await?;
    expect("a remove of it", remove, Swap::Missing)?;
    let added = probe.tier.add(&key, new.clone(), LONG).await?;
    expect("whether add stored where it lay", added, true)?;
    holds(probe, "the value added there", &key, &new).await.map(drop)
}
