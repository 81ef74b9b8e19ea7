//! Checks once, at start-up, that the backend honours `base_version`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::rpc_error::NAME;
use super::setup_error::SetupError;
use super::tier::Datastore;
use crate::tier::{DurableTier, TierError, TierErrorKind, Version, Write};

/// A probe entity that could not be deleted expires after this time, so that a TTL policy or a purge deletes it.
const PROBE_TTL: Duration = Duration::from_hours(1);

/// Writes an entity under a random key, and then updates and deletes it with a stale version.
///
/// The entity is of the kind `Session`, so that a probe left by a crash is deleted by the same TTL policy and purge.
pub(super) async fn probe(datastore: &Datastore) -> Result<(), SetupError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|source| {
        let error = TierError::new(NAME, "probe", TierErrorKind::Refused).with_source(source);
        SetupError::Probe(error)
    })?;
    let key = format!("probe.{}", URL_SAFE_NO_PAD.encode(random));
    let outcome = probe_key(datastore, &key).await;
    if !matches!(outcome, Ok(())) {
        // An error is ignored: the entity expires.
        if let Ok(Some(left)) = datastore.read(&key).await {
            let _ = datastore.delete(&key, left.version).await;
        }
    }
    outcome
}

async fn probe_key(datastore: &Datastore, key: &str) -> Result<(), SetupError> {
    let expires_at = datastore.now() + PROBE_TTL;
    let update = |base, value| datastore.update(key, base, Bytes::from_static(value), expires_at);

    let first = expect_done(datastore.insert(key, Bytes::from_static(b"1"), expires_at).await)?;
    let second = expect_done(update(first, b"2").await)?;
    expect_conflict(update(first, b"3").await)?;
    expect_conflict(datastore.delete(key, first).await)?;
    expect_done(datastore.delete(key, second).await)?;
    Ok(())
}

/// The version of a write that must be done.
fn expect_done(outcome: Result<Write, TierError>) -> Result<Version, SetupError> {
    match outcome.map_err(SetupError::Probe)? {
        Write::Done(version) => Ok(version),
        Write::Conflict | Write::Missing => Err(SetupError::IgnoresBaseVersion),
    }
}

/// Checks that a write with a stale version was not applied.
fn expect_conflict(outcome: Result<Write, TierError>) -> Result<(), SetupError> {
    match outcome.map_err(SetupError::Probe)? {
        Write::Conflict => Ok(()),
        Write::Done(_) | Write::Missing => Err(SetupError::IgnoresBaseVersion),
    }
}
