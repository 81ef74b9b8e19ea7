//! Deleting what has expired, in batches.

use std::time::SystemTime;

use gcloud_sdk::google::datastore::v1::filter::FilterType;
use gcloud_sdk::google::datastore::v1::property_filter::Operator;
use gcloud_sdk::google::datastore::v1::value::ValueType;
use gcloud_sdk::google::datastore::v1::{
    Filter, KindExpression, Projection, PropertyFilter, PropertyReference, Query, Value,
};
use tokio::task::JoinSet;

use super::entity::{self, Act, Change, EXPIRES_AT, KIND};
use super::fault::{Fate, Fault};
use super::rpc::{Budget, Rpc};
use crate::tier::{TierError, TierErrorKind};

/// How many keys one query returns.
const BATCH: usize = 200;
/// How many records are dealt with at the same time.
const AT_ONCE: usize = 16;

/// Deletes at most `limit` records that have expired at `now`, until the time of one call is used up.
///
/// The query gives keys only: an index may lag behind the records. Each record is read again, and deleted only in the
/// very version whose time has passed, so that one renewed in between survives. A failure counts only where nothing
/// could be deleted; what is left is there for the next purge.
pub(super) async fn purge_expired(rpc: &Rpc, now: SystemTime, limit: usize) -> Result<usize, TierError> {
    let mut budget = rpc.budget();
    let mut purged = 0;
    while purged < limit && !budget.is_spent() {
        let batch = BATCH.min(limit - purged);
        let (names, outcome) = match expired(rpc, &mut budget, now, batch).await {
            Ok(names) => (names.len(), delete_all(rpc, &budget, names, now).await),
            Err(fault) => (0, (0, Some(fault))),
        };
        let (deleted, fault) = outcome;
        purged += deleted;
        if let Some(fault) = fault {
            let kind = match fault.fate {
                Fate::Refused | Fate::Precondition => TierErrorKind::Refused,
                _ => TierErrorKind::Unavailable,
            };
            return if purged == 0 {
                Err(fault.into_error("purge", kind))
            } else {
                Ok(purged)
            };
        }
        // A short batch was the last; one of which nothing could be deleted would only come again.
        if names < batch || deleted == 0 {
            break;
        }
    }
    Ok(purged)
}

/// The names of at most `limit` records whose time has passed.
async fn expired(rpc: &Rpc, budget: &mut Budget, now: SystemTime, limit: usize) -> Result<Vec<String>, Fault> {
    loop {
        match rpc.query(budget.attempt(), query(now, limit)).await {
            Ok(results) => {
                let keys = results.into_iter().filter_map(|result| result.entity?.key);
                return Ok(keys.filter_map(entity::name_of).take(limit).collect());
            }
            Err(fault) if !fault.is_transient() || !budget.pause().await => return Err(fault),
            Err(_) => {}
        }
    }
}

/// Deletes those of `names` that have expired, and says how many, up to the first fault.
async fn delete_all(rpc: &Rpc, budget: &Budget, names: Vec<String>, now: SystemTime) -> (usize, Option<Fault>) {
    let mut names = names.into_iter();
    // Dropped with this future, and its tasks with it: each of them deletes one record or none.
    let mut tasks = JoinSet::new();
    let mut deleted = 0;
    loop {
        while tasks.len() < AT_ONCE && !budget.is_spent() {
            let Some(name) = names.next() else { break };
            let (rpc, until) = (rpc.clone(), budget.attempt());
            tasks.spawn(async move { delete_expired(&rpc, until, &name, now).await });
        }
        match tasks.join_next().await {
            None => return (deleted, None),
            Some(Ok(Ok(was_deleted))) => deleted += usize::from(was_deleted),
            Some(Ok(Err(fault))) => return (deleted, Some(fault)),
            Some(Err(broken)) => return (deleted, Some(Fault::new(Fate::Lost, broken))),
        }
    }
}

async fn delete_expired(rpc: &Rpc, until: tokio::time::Instant, name: &str, now: SystemTime) -> Result<bool, Fault> {
    let Some(found) = rpc.lookup(until, name).await? else {
        return Ok(false);
    };
    if !found.is_expired(now) {
        return Ok(false);
    }
    let act = Act::Delete(found.stored.version);
    match rpc.commit(until, &Change { key: name, act }).await {
        Ok(result) => Ok(result.is_some_and(|result| !result.conflict_detected)),
        Err(fault) if matches!(fault.fate, Fate::Precondition | Fate::Aborted) => Ok(false),
        Err(fault) => Err(fault),
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
