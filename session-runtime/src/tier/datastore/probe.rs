//! The question asked once, at start-up: does this backend compare before it swaps?

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::fault::NAME;
use super::setup_error::SetupError;
use super::tier::Datastore;
use crate::tier::{DurableTier, TierError, TierErrorKind, Version, Write};

/// A probe that could not be cleaned up is expired after this long, for a TTL policy or a purge to take.
const LIFE: Duration = Duration::from_hours(1);

/// Writes an entity under a random key of the kind `Session`, and then updates and deletes it on a stale version.
///
/// The kind is the sessions' own, so that the same TTL policy and the same purge take what a crash leaves behind.
pub(super) async fn probe(datastore: &Datastore) -> Result<(), SetupError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|source| {
        let error = TierError::new(NAME, "probe", TierErrorKind::Refused).with_source(source);
        SetupError::Probe(error)
    })?;
    let key = format!("probe.{}", URL_SAFE_NO_PAD.encode(random));
    let outcome = probe_key(datastore, &key).await;
    if !matches!(outcome, Ok(())) {
        // As good as it goes: what is left expires.
        if let Ok(Some(left)) = datastore.read(&key).await {
            let _ = datastore.delete(&key, left.version).await;
        }
    }
    outcome
}

async fn probe_key(datastore: &Datastore, key: &str) -> Result<(), SetupError> {
    let expires_at = datastore.now() + LIFE;
    let update = |base, value| datastore.update(key, base, Bytes::from_static(value), expires_at);

    let first = done(datastore.insert(key, Bytes::from_static(b"1"), expires_at).await)?;
    let second = done(update(first, b"2").await)?;
    refused(update(first, b"3").await)?;
    refused(datastore.delete(key, first).await)?;
    done(datastore.delete(key, second).await)?;
    Ok(())
}

/// The version of a write that nothing stands against.
fn done(outcome: Result<Write, TierError>) -> Result<Version, SetupError> {
    match outcome.map_err(SetupError::Probe)? {
        Write::Done(version) => Ok(version),
        Write::Conflict | Write::Missing => Err(SetupError::IgnoresBaseVersion),
    }
}

/// A write on a stale version must not happen.
fn refused(outcome: Result<Write, TierError>) -> Result<(), SetupError> {
    match outcome.map_err(SetupError::Probe)? {
        Write::Conflict => Ok(()),
        Write::Done(_) | Write::Missing => Err(SetupError::IgnoresBaseVersion),
    }
}
