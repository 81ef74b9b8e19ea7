//! The table: its name, what makes it, and whether what is there is it.

use std::fmt;

use deadpool_postgres::Client;
use tokio_postgres::Error;

use super::setup_error::SetupError;

/// The table's name unless another is set.
const DEFAULT: &str = "session_records";

/// What makes the table [`DEFAULT`].
pub(super) const MIGRATION: &str = r#"CREATE TABLE session_records (
    key        text COLLATE "C" NOT NULL PRIMARY KEY,
    value      bytea NOT NULL,
    version    bigint NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX session_records_expires_at ON session_records (expires_at);
COMMENT ON TABLE session_records IS 'session-runtime layout 1';
"#;

/// The comment of a table of this layout.
const LAYOUT: &str = "session-runtime layout 1";
/// The columns of a table of this layout, by name.
const COLUMNS: &str = "expires_at timestamp with time zone, key text, value bytea, version bigint";

/// Nodes that start at once make the table one after the other, by this advisory lock: the bytes of "sessions".
const LOCK: &str = "SELECT pg_advisory_xact_lock(8315179226536832627)";

/// What is known of the table, and of the server's settings, in one row.
const INSPECT: &str = "\
    SELECT c.oid IS NOT NULL AS is_there, \
        coalesce(obj_description(c.oid, 'pg_class'), '') AS layout, \
        coalesce((SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, NULL), ', ' ORDER BY a.attname) \
            FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '') AS columns, \
        coalesce(c.relkind IN ('r', 'p'), false) AS is_table, \
        coalesce(c.relpersistence = 'u', false) AS is_unlogged, \
        coalesce(has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT') \
            AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE'), false) AS is_permitted, \
        current_setting('synchronous_commit') = 'off' AS is_asynchronous, \
        (SELECT setting::bigint FROM pg_settings WHERE name = 'statement_timeout') AS statement_timeout \
    FROM (SELECT to_regclass($1) AS oid) AS named LEFT JOIN pg_class c ON c.oid = named.oid";

/// The name of a table, with or without a schema. Nothing in it needs quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableName(String);

impl Default for TableName {
    fn default() -> Self {
        Self(DEFAULT.to_owned())
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TableName {
    /// The longest name, in bytes: with `_expires_at` behind it, it is the name of an index, of at most 63
    /// (`NAMEDATALEN`).
    const MAX_LEN: usize = 63 - "_expires_at".len();

    /// `None` for a name that would need quotes, or is too long.
    pub(super) fn new(name: &str) -> Option<Self> {
        let is_plain = |part: &str| {
            let mut bytes = part.bytes();
            part.len() <= Self::MAX_LEN
                && bytes
                    .next()
                    .is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_')
                && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        let parts: Vec<_> = name.split('.').collect();
        (parts.len() <= 2 && parts.into_iter().all(is_plain)).then(|| Self(name.to_owned()))
    }

    /// What makes the table.
    pub(super) fn migration(&self) -> String {
        let bare = self.0.rsplit('.').next().unwrap_or(&self.0);
        MIGRATION
            .replace("INDEX session_records", &format!("INDEX {bare}"))
            .replace(" session_records ", &format!(" {} ", self.0))
    }
}

/// Makes the table if there is none under its name.
pub(super) async fn create(client: &mut Client, table: &TableName) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(LOCK).await?;
    let row = transaction
        .query_one("SELECT to_regclass($1) IS NULL", &[&table.0])
        .await?;
    if row.try_get(0)? {
        transaction.batch_execute(&table.migration()).await?;
    }
    transaction.commit().await
}

/// Checks the table's layout and privileges, and that the server keeps what it acknowledges and ends statements in
/// time.
///
/// `statement_timeout` is what the connection asked for, in milliseconds.
pub(super) async fn check(client: &Client, table: &TableName, statement_timeout: i64) -> Result<(), SetupError> {
    let row = client
        .query_one(INSPECT, &[&table.0])
        .await
        .map_err(SetupError::query)?;
    let is = |column: &str| row.try_get::<_, bool>(column).map_err(SetupError::query);
    let text = |column: &str| row.try_get::<_, String>(column).map_err(SetupError::query);
    let (name, migration) = (table.0.clone(), table.migration());
    if !is("is_there")? {
        return Err(SetupError::NoTable { table: name, migration });
    }
    let (layout, columns) = (text("layout")?, text("columns")?);
    if !is("is_table")? || layout != LAYOUT || columns != COLUMNS {
        let found = if layout.is_empty() {
            columns
        } else {
            format!("{layout:?}: {columns}")
        };
        return Err(SetupError::OtherLayout {
            table: name,
            found,
            migration,
        });
    }
    if !is("is_permitted")? {
        return Err(SetupError::NotPermitted { table: name });
    }
    if is("is_unlogged")? {
        return Err(SetupError::NotDurable(
            "the table is UNLOGGED: ALTER TABLE ... SET LOGGED",
        ));
    }
    if is("is_asynchronous")? {
        return Err(SetupError::NotDurable(
            "synchronous_commit is off: ALTER ROLE ... SET synchronous_commit = on",
        ));
    }
    let found = row.try_get::<_, i64>("statement_timeout").map_err(SetupError::query)?;
    if found == 0 || found > statement_timeout {
        return Err(SetupError::NoStatementTimeout { found });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_needs_no_quotes() {
        for name in ["session_records", "a", "_a1", "shop.sessions", &"a".repeat(52)] {
            assert!(TableName::new(name).is_some(), "{name}");
        }
        for name in [
            "",
            "Session",
            "a b",
            "a;drop table b",
            "a.b.c",
            "a.",
            ".a",
            "1a",
            "a\"",
            &"a".repeat(53),
        ] {
            assert!(TableName::new(name).is_none(), "{name}");
        }
    }

    #[test]
    fn the_migration_is_that_of_the_name() {
        assert_eq!(TableName::default().migration(), MIGRATION);
        let migration = TableName::new("shop.sessions").unwrap().migration();
        for line in [
            "CREATE TABLE shop.sessions (",
            "CREATE INDEX sessions_expires_at ON shop.sessions (expires_at);",
            "COMMENT ON TABLE shop.sessions IS 'session-runtime layout 1';",
        ] {
            assert!(migration.contains(line), "{migration}");
        }
        assert!(!migration.contains(DEFAULT), "{migration}");
    }
}
