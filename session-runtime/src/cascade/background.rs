//! What is done beside the requests: old values removed from the cache, expired records deleted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::event::SessionEvent;
use super::inner::StoreInner;
use super::metrics;
use super::protocol::{Settle, SettleOutcome};
use crate::session::meta::Millis;
use crate::session::record::Record;
use crate::tier::{TierError, Tiers, Version};

/// How many pending invalidations are kept; beyond it the bound on staleness has to do.
const MAX_INVALIDATIONS: usize = 4096;

impl StoreInner {
    /// Goes on trying to settle the cache until it is done, or no reader believes the old value any more. Returns when that
    /// is.
    pub(super) fn invalidate_later(
        self: &Arc<Self>,
        session: &'static str,
        key: String,
        settle: Settle<Record>,
    ) -> Millis {
        const PAUSE: Duration = Duration::from_millis(100);
        const MAX_PAUSE: Duration = Duration::from_secs(5);
        let until = self.backend.now().after(self.backend.policy.max_staleness);
        if self.invalidations.fetch_add(1, Ordering::Relaxed) >= MAX_INVALIDATIONS {
            self.invalidations.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!("too many invalidations are pending: one is left to the bound on staleness");
            return until;
        }
        metrics::set_pending_invalidations(self.invalidations.load(Ordering::Relaxed));
        let pending = Pending(Arc::clone(&self.invalidations));
        let inner = Arc::clone(self);
        self.tasks.spawn(async move {
            let _pending = pending;
            let mut closing = inner.closing.subscribe();
            let mut pause = PAUSE;
            let mut last = false;
            while inner.backend.now() < until {
                let (fenced, _) = inner.backend.run(&key, settle.clone()).await;
                if fenced == SettleOutcome::Settled {
                    let event = SessionEvent::Repaired { session };
                    return inner.backend.events.emit(event, || Some(key));
                }
                if last {
                    return;
                }
                tokio::select! {
                    _ = closing.wait_for(|closing| *closing) => last = true,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(MAX_PAUSE),
                }
            }
        });
        until
    }

    /// Deletes a record that has expired, or that no client knows of, beside the request.
    pub(super) fn spawn_delete(self: &Arc<Self>, tiers: Tiers, key: &str, version: Version) {
        if !tiers.contains(Tiers::DATASTORE) {
            return;
        }
        let (inner, key) = (Arc::clone(self), key.to_owned());
        self.tasks.spawn(async move {
            let Some(durable) = &inner.backend.durable else { return };
            if let Err(error) = durable.delete(&key, version).await {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "a record of no use was not deleted"
                );
            }
        });
    }

    pub(super) async fn purge_expired(&self, limit: usize) -> Result<usize, TierError> {
        match &self.backend.durable {
            Some(durable) => durable.purge_expired(self.backend.clock.now(), limit).await,
            None => Ok(0),
        }
    }

    pub(super) fn spawn_purge(self: &Arc<Self>, every: Duration) {
        const BATCH: usize = 500;
        let weak = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(inner) = weak.upgrade() else { return };
                // An error ends this round, not the sweeping.
                loop {
                    match inner.purge_expired(BATCH).await {
                        Ok(BATCH) => {}
                        Ok(_) => break,
                        Err(error) => {
                            tracing::warn!(
                                error = &error as &dyn std::error::Error,
                                "expired sessions were not purged"
                            );
                            break;
                        }
                    }
                }
            }
        });
    }
}

/// Counts one pending invalidation for as long as it lives.
struct Pending(Arc<AtomicUsize>);

impl Drop for Pending {
    fn drop(&mut self) {
        let before = self.0.fetch_sub(1, Ordering::Relaxed);
        metrics::set_pending_invalidations(before.saturating_sub(1));
    }
}
