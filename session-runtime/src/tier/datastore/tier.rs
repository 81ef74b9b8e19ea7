//! The tier: what each operation sends to the service, and how the answer is interpreted.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use gcloud_sdk::google::datastore::v1::MutationResult;

use super::entity::{self, Change, FoundEntity, Operation};
use super::purge;
use super::rpc::{Budget, Rpc};
use super::rpc_error::{NAME, RpcError, WriteStatus};
use crate::clock::Clock;
use crate::tier::{DurableTier, Scope, Stored, TierError, TierErrorKind, Version, Write};

/// The longest time between a call and the moment at which its write is applied; see "Deadlines" in the README.
pub(super) const MAX_WRITE_DELAY: Duration = Duration::from_mins(1);

/// Google Cloud Datastore as a [`DurableTier`]. Clones share the connections.
#[derive(Clone)]
pub struct Datastore {
    rpc: Rpc,
    clock: Arc<dyn Clock>,
}

impl Datastore {
    pub(super) fn new(rpc: Rpc, clock: Arc<dyn Clock>) -> Self {
        Self { rpc, clock }
    }

    /// The current time of the tier's clock.
    pub(super) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Reads a record, with retries until the service answers or the budget is exhausted.
    async fn lookup(
        &self,
        operation: &'static str,
        budget: &mut Budget,
        key: &str,
    ) -> Result<Option<FoundEntity>, TierError> {
        loop {
            let error = match self.rpc.lookup(budget.attempt_deadline(), key).await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            if !error.is_transient() {
                return Err(error.into_error(operation, TierErrorKind::Refused));
            }
            if !budget.wait_to_retry().await {
                return Err(error.into_error(operation, TierErrorKind::Unavailable));
            }
        }
    }

    /// Applies `change`, and retries only after an attempt that was certainly not applied. So a conflict is never caused
    /// by an earlier attempt of the same call.
    async fn write(&self, change: Change<'_>) -> Result<Write, TierError> {
        let operation = change.operation_name();
        let size = change.value_len();
        if size > entity::MAX_VALUE_LEN {
            let limit = entity::MAX_VALUE_LEN;
            return Err(TierError::new(NAME, operation, TierErrorKind::TooLarge { size, limit }));
        }
        let mut budget = self.rpc.budget(operation)?;
        loop {
            let error = match self.rpc.commit(budget.attempt_deadline(), &change).await {
                Ok(result) => return self.interpret_result(&change, &mut budget, result).await,
                Err(error) => error,
            };
            match error.write_status {
                WriteStatus::Unknown => return Err(error.into_error(operation, TierErrorKind::Unknown)),
                WriteStatus::Refused => return Err(error.into_error(operation, TierErrorKind::Refused)),
                WriteStatus::AlreadyExists => return Ok(Write::Conflict),
                WriteStatus::FailedPrecondition | WriteStatus::Aborted => {
                    if let Some(write) = self.explain_rejection(&change, &mut budget).await? {
                        return Ok(write);
                    }
                    // The record is in the state that the change requires: the service rejected it for another reason.
                    if error.write_status == WriteStatus::FailedPrecondition {
                        return Err(error.into_error(operation, TierErrorKind::Refused));
                    }
                }
                WriteStatus::NotApplied => {}
            }
            if !budget.wait_to_retry().await {
                return Err(error.into_error(operation, TierErrorKind::Unavailable));
            }
        }
    }

    /// The outcome of a commit that was answered without an error.
    async fn interpret_result(
        &self,
        change: &Change<'_>,
        budget: &mut Budget,
        result: Option<MutationResult>,
    ) -> Result<Write, TierError> {
        // A backend that ignores the strategy FAIL keeps the record and sets `conflict_detected`.
        if result.as_ref().is_some_and(|result| result.conflict_detected) {
            return Ok(self.explain_rejection(change, budget).await?.unwrap_or(Write::Conflict));
        }
        match result.and_then(|result| entity::version(result.version)) {
            Some(version) => Ok(Write::Done(version)),
            None => Err(TierError::new(NAME, change.operation_name(), TierErrorKind::Unknown)
                .with_source("the answer has no version of the record")),
        }
    }

    /// Why a change was not applied; `None` if the record is in the state that the change requires.
    async fn explain_rejection(&self, change: &Change<'_>, budget: &mut Budget) -> Result<Option<Write>, TierError> {
        let found = self.lookup(change.operation_name(), budget, change.key).await?;
        let version = found.map(|found| found.stored.version);
        Ok(match (change.base(), version) {
            (None, None) => None,
            (None, Some(_)) => Some(Write::Conflict),
            (Some(_), None) => Some(Write::Missing),
            (Some(base), Some(version)) => (base != version).then_some(Write::Conflict),
        })
    }

    /// Deletes `found`, which has expired. Returns the record that a read should return: none if it was deleted, the
    /// current one if it was renewed, and `found` if the deletion failed.
    async fn delete_expired(
        &self,
        key: &str,
        budget: &mut Budget,
        found: FoundEntity,
    ) -> Result<Option<Stored>, TierError> {
        let operation = Operation::Delete(found.stored.version);
        match self
            .rpc
            .commit(budget.attempt_deadline(), &Change { key, operation })
            .await
        {
            Ok(Some(result)) if !result.conflict_detected => Ok(None),
            // Renewed or deleted in between.
            Ok(_)
            | Err(RpcError {
                write_status: WriteStatus::FailedPrecondition | WriteStatus::Aborted,
                ..
            }) => Ok(self.lookup("read", budget, key).await?.map(|found| found.stored)),
            // The caller checks the deadlines itself; a later read tries the deletion again.
            Err(_) => Ok(Some(found.stored)),
        }
    }
}

impl std::fmt::Debug for Datastore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let location = &self.rpc.location;
        f.debug_struct("Datastore")
            .field("project", &location.project)
            .field("database", &location.database)
            .field("namespace", &location.namespace)
            .finish_non_exhaustive()
    }
}

impl DurableTier for Datastore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn product(&self) -> &'static str {
        "gcp.datastore"
    }

    fn scope(&self) -> Scope {
        Scope::Shared
    }

    fn max_value_len(&self) -> usize {
        entity::MAX_VALUE_LEN
    }

    fn max_write_delay(&self) -> Duration {
        MAX_WRITE_DELAY
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        let mut budget = self.rpc.budget("read")?;
        match self.lookup("read", &mut budget, key).await? {
            Some(found) if found.is_expired(self.now()) => self.delete_expired(key, &mut budget, found).await,
            found => Ok(found.map(|found| found.stored)),
        }
    }

    async fn insert(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        let operation = Operation::Insert(value, expires_at);
        self.write(Change { key, operation }).await
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        let operation = Operation::Update(base, value, expires_at);
        self.write(Change { key, operation }).await
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        let operation = Operation::Delete(base);
        self.write(Change { key, operation }).await
    }

    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        purge::purge_expired(&self.rpc, now, limit).await
    }
}
