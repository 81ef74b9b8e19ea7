//! What a token finds in the tiers.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::backend::nonce;
use super::cold::{ColdLoad, Turn};
use super::diagnostics::Diagnostics;
use super::event::SessionEvent;
use super::inner::StoreInner;
use super::outcome::{LoadError, LoadReport, load_error};
use super::protocol::{Action, CacheLoad, Load, LoadEnd, Machine, Source, Step, VersionedRecord};
use super::rejected::Rejection;
use super::{metrics, spans};
use crate::session::meta::{Meta, Millis, SecretHash, SecretStatus};
use crate::session::record::Record;
use crate::tier::Tiers;

/// What a token finds.
pub(crate) enum Lookup {
    /// A session, to which its secret belongs.
    Valid(VersionedRecord<Record>),
    /// A session that has got another secret a moment ago.
    Superseded,
    /// No session, or one that has had another secret for long.
    NoSession,
}

impl From<Rejection> for Lookup {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Superseded => Self::Superseded,
            Rejection::NoSession => Self::NoSession,
        }
    }
}

impl StoreInner {
    /// Looks up the session that a token names, by its storage key and the hash of its secret.
    ///
    /// What the cache says to the client's disadvantage (the session has expired, or has another secret) may be out of
    /// date, so the durable tier decides it, once for each token and interval. A session that lives in the request's
    /// memory alone is never found.
    pub(crate) async fn load(
        self: &Arc<Self>,
        session: &'static str,
        tiers: Tiers,
        key: &str,
        secret: &SecretHash,
    ) -> Result<(Lookup, LoadReport), LoadError> {
        let started = Instant::now();
        if !tiers.intersects(Tiers::DISTRIBUTED) {
            return Ok((Lookup::NoSession, LoadReport::default()));
        }
        if let Some(rejection) = self.rejected.get(secret, self.backend.now()) {
            return Ok((rejection.into(), LoadReport::default()));
        }
        let span = spans::load(session);
        let ((end, diagnostics), cold) = if span.is_disabled() {
            self.run_load(tiers, key, secret).await
        } else {
            // On the heap, so that this future is no larger where nobody listens.
            spans::within(&span, self.run_load(tiers, key, secret)).await
        };
        let LoadEnd::Known {
            found,
            source,
            degraded,
            fill,
        } = end
        else {
            let error = load_error(session, diagnostics);
            spans::end(&span, error.label(), true);
            metrics::record_load(session, None, error.label(), started.elapsed());
            return Err(error);
        };
        let report = LoadReport {
            tier: Some(self.backend.tier_name(source)),
            degraded,
            took: started.elapsed(),
        };
        if !span.is_disabled() {
            span.record("tier", report.tier);
            spans::end(&span, report.label(), false);
        }
        metrics::record_load(session, report.tier, report.label(), report.took);
        if degraded {
            let event = SessionEvent::Degraded { session };
            self.backend.events.emit(event, || Some(key.to_owned()));
        }
        let now = self.backend.now();
        let expired = found
            .as_ref()
            .filter(|found| self.has_expired(found.record.meta(), now));
        if let Some(expired) = expired {
            self.spawn_delete(tiers, key, expired.version);
        } else if let Some(fill) = fill {
            let (inner, key) = (Arc::clone(self), key.to_owned());
            self.tasks.spawn(async move {
                inner.backend.run(&key, fill).await;
                // Those who wait find it in the cache.
                drop(cold);
            });
        }
        Ok((self.judge(tiers, found, secret, now), report))
    }

    async fn run_load(
        &self,
        tiers: Tiers,
        key: &str,
        secret: &SecretHash,
    ) -> ((LoadEnd<Record>, Diagnostics), Option<ColdLoad>) {
        if !tiers.contains(Tiers::DATASTORE) {
            return (self.backend.run(key, CacheLoad).await, None);
        }
        let max_staleness = self.backend.policy.max_staleness;
        let load = |cache, max_staleness| self.backend.run(key, Load::new(cache, nonce(), max_staleness));
        if !tiers.contains(Tiers::MEMCACHE) {
            return self.run_shared_load(key, false).await;
        }
        let (cached, cold) = self.run_shared_load(key, true).await;
        if !self.is_denied_by_cache(&cached.0, secret) {
            return (cached, cold);
        }
        drop(cold);
        // Past the cache, so that whoever presents a token that is no longer valid does not displace the owner's value.
        let durable = load(false, max_staleness).await;
        let LoadEnd::Known { found: Some(found), .. } = &durable.0 else {
            return (durable, None);
        };
        if !self.is_valid(found.record.meta(), secret) {
            return (durable, None);
        }
        // The cache was out of date: have what it holds replaced.
        let renewed = load(true, Duration::ZERO).await;
        if self.is_denied_by_cache(&renewed.0, secret) {
            (durable, None)
        } else {
            (renewed, None)
        }
    }

    /// Runs a load which, where the cache does not answer, is shared with other readers of this process.
    async fn run_shared_load(&self, key: &str, cache: bool) -> ((LoadEnd<Record>, Diagnostics), Option<ColdLoad>) {
        let load = || Load::new(cache, nonce(), self.backend.policy.max_staleness);
        let (mut machine, mut diagnostics) = (load(), Diagnostics::default());
        let mut step = machine.begin(self.backend.now());
        let mut cold = None;
        loop {
            step = match step {
                Step::End(end) => {
                    if let Some(cold) = &mut cold {
                        ColdLoad::publish(cold, &end, &diagnostics);
                    }
                    return ((end, diagnostics), cold);
                }
                Step::Do(Action::Read) if cold.is_none() && machine.has_lease() => {
                    // It has to fill, and so cannot leave the read to others.
                    cold = self.cold.try_begin(key);
                    let read = Step::Do(Action::Read);
                    self.backend.step(key, &mut machine, read, &mut diagnostics).await
                }
                Step::Do(Action::Read) if cold.is_none() => match self.cold.enter(key).await {
                    Turn::GoOn(load) => {
                        cold = Some(load);
                        Step::Do(Action::Read)
                    }
                    Turn::BeginAgain(turn) => {
                        cold = Some(turn);
                        machine = load();
                        machine.begin(self.backend.now())
                    }
                    Turn::Loaded(loaded) => return (loaded, None),
                },
                step => self.backend.step(key, &mut machine, step, &mut diagnostics).await,
            };
        }
    }

    /// Whether the cache answered, and with a record that denies the client its session.
    fn is_denied_by_cache(&self, end: &LoadEnd<Record>, secret: &SecretHash) -> bool {
        matches!(end, LoadEnd::Known { found: Some(found), source: Source::Cache, .. }
            if !self.is_valid(found.record.meta(), secret))
    }

    fn is_valid(&self, meta: &Meta, secret: &SecretHash) -> bool {
        let now = self.backend.now();
        !self.has_expired(meta, now) && meta.secret_status(secret, now).is_valid()
    }

    /// What a token finds, where this is the record under its key; a token that finds nothing is remembered.
    fn judge(&self, tiers: Tiers, found: Option<VersionedRecord<Record>>, secret: &SecretHash, now: Millis) -> Lookup {
        let found = found.filter(|found| !self.has_expired(found.record.meta(), now));
        let status = found
            .as_ref()
            .map(|found| found.record.meta().secret_status(secret, now));
        let superseded_until = match (status, found) {
            (Some(SecretStatus::Current | SecretStatus::Previous), Some(found)) => return Lookup::Valid(found),
            (Some(SecretStatus::Superseded(until)), _) => Some(until),
            _ => None,
        };
        // A session of the cache alone costs no durable read.
        if tiers.contains(Tiers::DATASTORE) {
            self.rejected.insert(*secret, superseded_until, now);
        }
        superseded_until.map_or(Lookup::NoSession, |_| Lookup::Superseded)
    }
}
