//! The tier: what each operation sends to the server, and how the answer is interpreted.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio_postgres::Row;

use super::call_error::NAME;
use super::connections::{Connections, UNSENT_TIMEOUT};
use super::parameter::Parameter;
use super::purge;
use super::statements::Statements;
use super::table::TableName;
use crate::tier::{DurableTier, Scope, Stored, TierError, TierErrorKind, Version, Write};

/// Far more than a session should have. Postgres itself takes a gigabyte (appendix K of its manual, field size).
const MAX_VALUE_LEN: usize = 16 << 20;

/// How often expired records are deleted: often enough for the table to stay small beside what is in use.
const PURGE_INTERVAL: Duration = Duration::from_mins(10);

/// Postgres as a [`DurableTier`]. Clones share the connections.
#[derive(Clone)]
pub struct Postgres {
    connections: Connections,
    statements: Arc<Statements>,
    table: Arc<str>,
    max_write_delay: Duration,
}

impl Postgres {
    pub(super) fn new(connections: Connections, table: &TableName, call_timeout: Duration) -> Self {
        Self {
            connections,
            statements: Arc::new(Statements::new(table)),
            table: table.to_string().into(),
            // Until the deadline a write is given to the connection, waits there for the network, and is then executed
            // until the server's `statement_timeout`, which is as long as a call.
            max_write_delay: call_timeout + UNSENT_TIMEOUT + call_timeout,
        }
    }

    /// Carries out a statement that changes one record; its new version, or the one that was deleted.
    async fn write<const N: usize>(
        &self,
        operation: &'static str,
        statement: &Arc<str>,
        parameters: [Parameter; N],
    ) -> Result<Option<Version>, TierError> {
        let budget = self.connections.budget(operation)?;
        let rows = self.connections.query(budget.deadline, statement, parameters).await;
        let rows = rows.map_err(|error| error.into_error(operation))?;
        let Some(row) = rows.first() else { return Ok(None) };
        // It was applied, in a version that nobody knows.
        let malformed = |source| TierError::new(NAME, operation, TierErrorKind::Unknown).with_source(source);
        version(row, 0).map(Some).map_err(malformed)
    }

    /// Why a write changed nothing: the record has another version, or there is none.
    async fn explain(&self, operation: &'static str, key: &str) -> Result<Write, TierError> {
        let budget = self.connections.budget(operation)?;
        let parameters = [Parameter::Text(key.to_owned())];
        let rows = self
            .connections
            .query(budget.deadline, &self.statements.version, parameters)
            .await;
        let rows = rows.map_err(|error| error.into_read_error(operation))?;
        Ok(if rows.is_empty() {
            Write::Missing
        } else {
            Write::Conflict
        })
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl DurableTier for Postgres {
    fn name(&self) -> &'static str {
        NAME
    }

    fn product(&self) -> &'static str {
        "postgresql"
    }

    fn scope(&self) -> Scope {
        Scope::Shared
    }

    fn max_value_len(&self) -> usize {
        MAX_VALUE_LEN
    }

    fn max_write_delay(&self) -> Duration {
        self.max_write_delay
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        let budget = self.connections.budget("read")?;
        let parameters = [Parameter::Text(key.to_owned())];
        let rows = self
            .connections
            .query(budget.deadline, &self.statements.read, parameters)
            .await;
        let rows = rows.map_err(|error| error.into_read_error("read"))?;
        let Some(row) = rows.first() else { return Ok(None) };
        let malformed = |source| TierError::new(NAME, "read", TierErrorKind::Refused).with_source(source);
        let value = row.try_get::<_, &[u8]>(0).map_err(|error| malformed(error.into()))?;
        Ok(Some(Stored {
            value: Bytes::copy_from_slice(value),
            version: version(row, 1).map_err(malformed)?,
        }))
    }

    async fn insert(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        check_size("insert", &value)?;
        let parameters = [
            Parameter::Text(key.to_owned()),
            Parameter::Bytes(value),
            Parameter::Time(expires_at),
        ];
        let inserted = self.write("insert", &self.statements.insert, parameters).await?;
        Ok(inserted.map_or(Write::Conflict, Write::Done))
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        check_size("update", &value)?;
        let parameters = [
            Parameter::Text(key.to_owned()),
            base_of(base),
            Parameter::Bytes(value),
            Parameter::Time(expires_at),
        ];
        match self.write("update", &self.statements.update, parameters).await? {
            Some(version) => Ok(Write::Done(version)),
            None => self.explain("update", key).await,
        }
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        let parameters = [Parameter::Text(key.to_owned()), base_of(base)];
        match self.write("delete", &self.statements.delete, parameters).await? {
            Some(version) => Ok(Write::Done(version)),
            None => self.explain("delete", key).await,
        }
    }

    fn purge_interval(&self) -> Option<Duration> {
        Some(PURGE_INTERVAL)
    }

    /// Purges in statements of at most 1,000 records, and stops early, without an error, after ten seconds.
    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        purge::purge_expired(&self.connections, &self.statements, now, limit).await
    }
}

fn check_size(operation: &'static str, value: &Bytes) -> Result<(), TierError> {
    let (size, limit) = (value.len(), MAX_VALUE_LEN);
    if size > limit {
        return Err(TierError::new(NAME, operation, TierErrorKind::TooLarge { size, limit }));
    }
    Ok(())
}

/// One that is greater than any in the table is none that a record has; neither is a negative one.
fn base_of(base: Version) -> Parameter {
    Parameter::Integer(i64::try_from(base.0).unwrap_or(-1))
}

fn version(row: &Row, column: usize) -> Result<Version, Box<dyn std::error::Error + Send + Sync>> {
    let version = row.try_get::<_, i64>(column)?;
    Ok(Version(u64::try_from(version)?))
}
