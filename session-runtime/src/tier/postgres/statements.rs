//! The statements of a table. `EXPLAIN` of each stands in the README of this module.

use std::sync::Arc;

use super::table::TableName;

/// The clock of the server, in microseconds since 1970.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// The text of each statement, which is prepared once on every connection.
pub(super) struct Statements {
    /// Value and version of `$1`.
    pub(super) read: Arc<str>,
    /// The new version; no row if there is a record.
    pub(super) insert: Arc<str>,
    /// The new version; no row if there is no record of that version.
    pub(super) update: Arc<str>,
    /// The version that was deleted; no row if there is no record of that version.
    pub(super) delete: Arc<str>,
    /// The version of `$1`: tells why a write changed nothing.
    pub(super) version: Arc<str>,
    /// How many records were deleted.
    pub(super) purge: Arc<str>,
}

impl Statements {
    pub(super) fn new(table: &TableName) -> Self {
        Self {
            read: format!("SELECT value, version FROM {table} WHERE key = $1").into(),
            insert: format!(
                "INSERT INTO {table} (key, value, version, expires_at) VALUES ($1, $2, {NOW}, $3) \
                 ON CONFLICT (key) DO NOTHING RETURNING version"
            )
            .into(),
            // The greater of the two, since the clock may be slow: of a server that has taken over, or for a moment.
            update: format!(
                "UPDATE {table} SET value = $3, version = GREATEST(version + 1, {NOW}), expires_at = $4 \
                 WHERE key = $1 AND version = $2 RETURNING version"
            )
            .into(),
            delete: format!("DELETE FROM {table} WHERE key = $1 AND version = $2 RETURNING version").into(),
            version: format!("SELECT version FROM {table} WHERE key = $1").into(),
            // A record that another transaction holds is skipped, and one that it has renewed is looked at again: `FOR
            // UPDATE` returns the latest version only if that has expired too. An array, so that the plan is two scans
            // of an index whatever is known of the table.
            purge: format!(
                "WITH purged AS (DELETE FROM {table} WHERE key = ANY (ARRAY(\
                 SELECT key FROM {table} WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED\
                 )) AND expires_at <= $1 RETURNING 1) SELECT count(*) FROM purged"
            )
            .into(),
        }
    }
}
