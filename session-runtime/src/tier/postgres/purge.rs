//! Deletes expired records, in batches.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::connections::Connections;
use super::parameter::Parameter;
use super::statements::Statements;
use crate::tier::TierError;

/// The most records that one statement deletes: it holds their locks for milliseconds.
const BATCH_SIZE: usize = 1_000;
/// After this time no further batch is begun, so that a call ends soon, however much there is to delete.
const MAX_TIME: Duration = Duration::from_secs(10);

/// Deletes at most `limit` records that have expired at `now`.
///
/// An error is returned only if nothing was deleted; the rest, and what would take too long, is left to the next purge.
pub(super) async fn purge_expired(
    connections: &Connections,
    statements: &Statements,
    now: SystemTime,
    limit: usize,
) -> Result<usize, TierError> {
    let end = Instant::now() + MAX_TIME;
    let mut purged = 0;
    while purged < limit && Instant::now() < end {
        let batch = BATCH_SIZE.min(limit - purged);
        let deleted = match purge_batch(connections, statements, now, batch).await {
            Ok(deleted) => deleted,
            Err(error) if purged == 0 => return Err(error),
            Err(_) => break,
        };
        purged += deleted;
        // A short batch is the last.
        if deleted < batch {
            break;
        }
    }
    Ok(purged)
}

async fn purge_batch(
    connections: &Connections,
    statements: &Statements,
    now: SystemTime,
    limit: usize,
) -> Result<usize, TierError> {
    let budget = connections.budget("purge")?;
    let parameters = [
        Parameter::Time(now),
        Parameter::Integer(i64::try_from(limit).unwrap_or(i64::MAX)),
    ];
    let rows = connections.query(budget.deadline, &statements.purge, parameters).await;
    let rows = rows.map_err(|error| error.into_read_error("purge"))?;
    let deleted = rows.first().and_then(|row| row.try_get::<_, i64>(0).ok());
    Ok(deleted.and_then(|deleted| usize::try_from(deleted).ok()).unwrap_or(0))
}
