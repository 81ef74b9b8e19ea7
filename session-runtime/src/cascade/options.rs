//! Refuses what the options of a store must not be.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::build_error::BuildError;
use super::policy::Policy;
use crate::tier::Scope;

/// More would end sessions of users who are there, less would write with nearly every request.
const RENEW_AFTER: RangeInclusive<f64> = 0.01..=0.5;

/// An owner's record of so many has about 200 KiB, which every tier takes.
const MAX_SESSIONS: RangeInclusive<usize> = 1..=1000;

pub(super) fn check_duration(option: &'static str, value: Duration) -> Result<(), BuildError> {
    if value < Duration::from_secs(1) {
        return Err(BuildError::Option {
            option,
            value: format!("{value:?}"),
            remedy: "it must be a second or more",
        });
    }
    Ok(())
}

pub(super) fn check_scopes(
    (cache, cache_scope): (&'static str, Scope),
    (durable, durable_scope): (&'static str, Scope),
) -> Result<(), BuildError> {
    match (cache_scope, durable_scope) {
        (Scope::Process, Scope::Shared) => Err(BuildError::LocalCacheOverShared { cache, durable }),
        (Scope::Shared, Scope::Process) => Err(BuildError::SharedCacheOverLocal { cache, durable }),
        (Scope::Process, Scope::Process) | (Scope::Shared, Scope::Shared) => Ok(()),
    }
}

pub(super) fn check(policy: &Policy) -> Result<(), BuildError> {
    check_duration("idle", policy.idle)?;
    check_duration("max_age", policy.max_age)?;
    check_duration("commit_timeout", policy.commit_timeout)?;
    for (option, value) in [
        ("rotate_every", policy.rotate_every),
        ("anonymous_idle", policy.anonymous_idle),
    ] {
        value.map_or(Ok(()), |value| check_duration(option, value))?;
    }
    if !RENEW_AFTER.contains(&policy.renew_after) {
        return Err(BuildError::Option {
            option: "renew_after",
            value: policy.renew_after.to_string(),
            remedy: "it must be a share of the idle time, from 0.01 to 0.5",
        });
    }
    let (max_sessions, _) = policy.max_sessions;
    if !MAX_SESSIONS.contains(&max_sessions) {
        return Err(BuildError::Option {
            option: "max_sessions",
            value: max_sessions.to_string(),
            remedy: "it must be from 1 to 1000",
        });
    }
    let prefix = &policy.key_prefix;
    if prefix.len() > 200 || !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
        let remedy = "it must be at most 200 bytes of printable ASCII without spaces";
        return Err(BuildError::Option {
            option: "key_prefix",
            value: format!("{prefix:?}"),
            remedy,
        });
    }
    Ok(())
}
