//! Deletes expired records, in batches.

use std::time::SystemTime;

use gcloud_sdk::google::datastore::v1::filter::FilterType;
use gcloud_sdk::google::datastore::v1::property_filter::Operator;
use gcloud_sdk::google::datastore::v1::value::ValueType;
use gcloud_sdk::google::datastore::v1::{
    Filter, KindExpression, Projection, PropertyFilter, PropertyReference, Query, Value,
};
use tokio::task::JoinSet;

use super::entity::{self, Change, EXPIRES_AT, KIND, Operation};
use super::rpc::{Budget, Rpc};
use super::rpc_error::{NAME, RpcError, WriteStatus};
use crate::tier::{TierError, TierErrorKind};

/// The most keys that one query returns.
const BATCH_SIZE: usize = 200;
/// The most records that are read and deleted at the same time.
const CONCURRENCY: usize = 16;

/// Why nothing can be purged.
#[derive(Debug, thiserror::Error)]
#[error(
    "ExpiresAt is not indexed, so expired sessions cannot be found: set a TTL policy on it (`gcloud firestore fields ttls \
     update ExpiresAt --collection-group=Session --enable-ttl`), which needs no index, or connect with \
     `DatastoreBuilder::index_expires_at(true)`"
)]
struct NotIndexed;

/// Deletes at most `limit` records that have expired at `now`, within the time of one call.
///
/// The query returns keys only, since an index may lag behind the records. Each record is read again, and deleted only
/// in the version that was seen to be expired, so that a record renewed in between is kept. An error is returned only if
/// nothing was deleted; the rest is left to the next purge. Without the index the query would find nothing, whatever there
/// is, so it is refused.
pub(super) async fn purge_expired(rpc: &Rpc, now: SystemTime, limit: usize) -> Result<usize, TierError> {
    if !rpc.location.index_expires_at {
        return Err(TierError::new(NAME, "purge", TierErrorKind::Refused).with_source(NotIndexed));
    }
    let mut budget = rpc.budget("purge")?;
    let mut purged = 0;
    while purged < limit && !budget.is_exhausted() {
        let batch = BATCH_SIZE.min(limit - purged);
        let (names, outcome) = match query_expired(rpc, &mut budget, now, batch).await {
            Ok(names) => (names.len(), delete_batch(rpc, &budget, names, now).await),
            Err(error) => (0, (0, Some(error))),
        };
        let (deleted, error) = outcome;
        purged += deleted;
        if let Some(error) = error {
            let kind = match error.write_status {
                WriteStatus::Refused | WriteStatus::FailedPrecondition => TierErrorKind::Refused,
                _ => TierErrorKind::Unavailable,
            };
            return if purged == 0 {
                Err(error.into_error("purge", kind))
            } else {
                Ok(purged)
            };
        }
        // A short batch is the last; a batch of which nothing could be deleted would only be returned again.
        if names < batch || deleted == 0 {
            break;
        }
    }
    Ok(purged)
}

/// The names of at most `limit` records that have expired.
async fn query_expired(rpc: &Rpc, budget: &mut Budget, now: SystemTime, limit: usize) -> Result<Vec<String>, RpcError> {
    loop {
        match rpc.query(budget.attempt_deadline(), query(now, limit)).await {
            Ok(results) => {
                let keys = results.into_iter().filter_map(|result| result.entity?.key);
                return Ok(keys.filter_map(entity::name_of).take(limit).collect());
            }
            Err(error) if !error.is_transient() || !budget.wait_to_retry().await => return Err(error),
            Err(_) => {}
        }
    }
}

/// Deletes those of `names` that have expired; returns how many, and the error at which it stopped.
async fn delete_batch(rpc: &Rpc, budget: &Budget, names: Vec<String>, now: SystemTime) -> (usize, Option<RpcError>) {
    let mut names = names.into_iter();
    // Dropping this future aborts the tasks; each of them deletes one record or none.
    let mut tasks = JoinSet::new();
    let mut deleted = 0;
    loop {
        while tasks.len() < CONCURRENCY && !budget.is_exhausted() {
            let Some(name) = names.next() else { break };
            let (rpc, deadline) = (rpc.clone(), budget.attempt_deadline());
            tasks.spawn(async move { delete_expired(&rpc, deadline, &name, now).await });
        }
        match tasks.join_next().await {
            None => return (deleted, None),
            Some(Ok(Ok(was_deleted))) => deleted += usize::from(was_deleted),
            Some(Ok(Err(error))) => return (deleted, Some(error)),
            Some(Err(failed)) => return (deleted, Some(RpcError::new(WriteStatus::Unknown, failed))),
        }
    }
}

async fn delete_expired(
    rpc: &Rpc,
    deadline: tokio::time::Instant,
    name: &str,
    now: SystemTime,
) -> Result<bool, RpcError> {
    let Some(found) = rpc.lookup(deadline, name).await? else {
        return Ok(false);
    };
    if !found.is_expired(now) {
        return Ok(false);
    }
    let operation = Operation::Delete(found.stored.version);
    match rpc.commit(deadline, &Change { key: name, operation }).await {
        Ok(result) => Ok(result.is_some_and(|result| !result.conflict_detected)),
        Err(error)
            if matches!(
                error.write_status,
                WriteStatus::FailedPrecondition | WriteStatus::Aborted
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// `SELECT __key__ FROM Session WHERE ExpiresAt <= now LIMIT limit`.
fn query(now: SystemTime, limit: usize) -> Query {
    let property = |name: &str| Some(PropertyReference { name: name.to_owned() });
    let has_passed = PropertyFilter {
        property: property(EXPIRES_AT),
        op: Operator::LessThanOrEqual.into(),
        value: Some(Value {
            value_type: Some(ValueType::TimestampValue(entity::timestamp(now))),
            ..Value::default()
        }),
    };
    Query {
        projection: vec![Projection {
            property: property("__key__"),
        }],
        kind: vec![KindExpression { name: KIND.to_owned() }],
        filter: Some(Filter {
            filter_type: Some(FilterType::PropertyFilter(has_passed)),
        }),
        limit: Some(i32::try_from(limit).unwrap_or(i32::MAX)),
        ..Query::default()
    }
}
