//! The tier itself: what each operation asks of the service, and what an answer makes of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use gcloud_sdk::google::datastore::v1::MutationResult;

use super::entity::{self, Act, Change, Found};
use super::fault::{Fate, Fault, NAME};
use super::purge;
use super::rpc::{Budget, Rpc};
use crate::clock::Clock;
use crate::tier::{DurableTier, Stored, TierError, TierErrorKind, Version, Write};

/// The longest time between a call and the last moment at which a write of it can be applied; see the module.
pub(super) const MAX_WRITE_DELAY: Duration = Duration::from_mins(1);

/// Google Cloud Datastore as a [`DurableTier`]. Clones share one connection.
#[derive(Clone)]
pub struct Datastore {
    rpc: Rpc,
    clock: Arc<dyn Clock>,
}

impl Datastore {
    pub(super) fn new(rpc: Rpc, clock: Arc<dyn Clock>) -> Self {
        Self { rpc, clock }
    }

    /// The time by the tier's own clock.
    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Looks until the service answers or the budget is spent.
    async fn look(&self, doing: &'static str, budget: &mut Budget, key: &str) -> Result<Option<Found>, TierError> {
        loop {
            let fault = match self.rpc.lookup(budget.attempt(), key).await {
                Ok(found) => return Ok(found),
                Err(fault) => fault,
            };
            if !fault.is_transient() {
                return Err(fault.into_error(doing, TierErrorKind::Refused));
            }
            if !budget.pause().await {
                return Err(fault.into_error(doing, TierErrorKind::Unavailable));
            }
        }
    }

    /// Applies `change`, and tries again only after an attempt that certainly was not applied. So no attempt follows
    /// one that may have been, and a refusal is never the echo of this call's own success.
    async fn write(&self, change: Change<'_>) -> Result<Write, TierError> {
        let doing = change.doing();
        let size = change.value_len();
        if size > entity::MAX_VALUE_LEN {
            let limit = entity::MAX_VALUE_LEN;
            return Err(TierError::new(NAME, doing, TierErrorKind::TooLarge { size, limit }));
        }
        let mut budget = self.rpc.budget();
        loop {
            let fault = match self.rpc.commit(budget.attempt(), &change).await {
                Ok(result) => return self.applied(&change, &mut budget, result).await,
                Err(fault) => fault,
            };
            match fault.fate {
                Fate::Lost => return Err(fault.into_error(doing, TierErrorKind::Unknown)),
                Fate::Refused => return Err(fault.into_error(doing, TierErrorKind::Refused)),
                Fate::Exists => return Ok(Write::Conflict),
                Fate::Precondition | Fate::Aborted => {
                    if let Some(write) = self.why_not(&change, &mut budget).await? {
                        return Ok(write);
                    }
                    // The record is as the change wants it: the service minded something else.
                    if fault.fate == Fate::Precondition {
                        return Err(fault.into_error(doing, TierErrorKind::Refused));
                    }
                }
                Fate::NotApplied => {}
            }
            if !budget.pause().await {
                return Err(fault.into_error(doing, TierErrorKind::Unavailable));
            }
        }
    }

    /// What an answer without an error means.
    async fn applied(
        &self,
        change: &Change<'_>,
        budget: &mut Budget,
        result: Option<MutationResult>,
    ) -> Result<Write, TierError> {
        // A backend that ignores FAIL keeps the record and marks the mutation instead.
        if result.as_ref().is_some_and(|result| result.conflict_detected) {
            return Ok(self.why_not(change, budget).await?.unwrap_or(Write::Conflict));
        }
        match result.and_then(|result| entity::version(result.version)) {
            Some(version) => Ok(Write::Done(version)),
            None => Err(TierError::new(NAME, change.doing(), TierErrorKind::Unknown)
                .with_source("the answer holds no version of the record")),
        }
    }

    /// Why a change that was not applied was not; `None` where the record is as the change wants it.
    async fn why_not(&self, change: &Change<'_>, budget: &mut Budget) -> Result<Option<Write>, TierError> {
        let found = self.look(change.doing(), budget, change.key).await?;
        let version = found.map(|found| found.stored.version);
        Ok(match (change.base(), version) {
            (None, None) => None,
            (None, Some(_)) => Some(Write::Conflict),
            (Some(_), None) => Some(Write::Missing),
            (Some(base), Some(version)) => (base != version).then_some(Write::Conflict),
        })
    }

    /// Deletes `found`, which has expired; `Some` where it turned out to be alive, or could not be deleted.
    async fn bury(&self, key: &str, budget: &mut Budget, found: Found) -> Result<Option<Stored>, TierError> {
        let act = Act::Delete(found.stored.version);
        match self.rpc.commit(budget.attempt(), &Change { key, act }).await {
            Ok(Some(result)) if !result.conflict_detected => Ok(None),
            // Renewed or deleted in between.
            Ok(_)
            | Err(Fault {
                fate: Fate::Precondition | Fate::Aborted,
                ..
            }) => Ok(self.look("read", budget, key).await?.map(|found| found.stored)),
            // The caller sees for itself that it has expired; the next one to meet it deletes it.
            Err(_) => Ok(Some(found.stored)),
        }
    }
}

impl std::fmt::Debug for Datastore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = &self.rpc.place;
        f.debug_struct("Datastore")
            .field("project", &place.project)
            .field("database", &place.database)
            .field("namespace", &place.namespace)
            .finish_non_exhaustive()
    }
}

impl DurableTier for Datastore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn max_value_len(&self) -> usize {
        entity::MAX_VALUE_LEN
    }

    fn max_write_delay(&self) -> Duration {
        MAX_WRITE_DELAY
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        let mut budget = self.rpc.budget();
        match self.look("read", &mut budget, key).await? {
            Some(found) if found.is_expired(self.now()) => self.bury(key, &mut budget, found).await,
            found => Ok(found.map(|found| found.stored)),
        }
    }

    async fn insert(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        let act = Act::Insert(value, expires_at);
        self.write(Change { key, act }).await
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        let act = Act::Update(base, value, expires_at);
        self.write(Change { key, act }).await
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        let act = Act::Delete(base);
        self.write(Change { key, act }).await
    }

    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        purge::purge_expired(&self.rpc, now, limit).await
    }
}
