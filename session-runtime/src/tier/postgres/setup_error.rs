//! Why the tier could not be set up.

use std::path::PathBuf;
use std::time::Duration;

use super::call_error::{CallError, Cause};

/// Why a [`Postgres`](crate::tier::postgres::Postgres) could not be set up. Its text says what to do, and holds no
/// password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// There is no connection string.
    #[error("DATABASE_URL is not set: give it as postgres://user:password@host/database")]
    NoUrl,
    /// The connection string cannot be read. It is not shown, since there may be a password in it.
    #[error(
        "the connection string cannot be read: write postgres://user:password@host:port/database, special characters in the \
         password percent-encoded; `sslmode` is disable, prefer, require or verify-full, and other certificates than the \
         system's are named by PGSSLROOTCERT or `PostgresBuilder::root_certificates`"
    )]
    BadUrl,
    /// The table's name would need quotes, or is too long.
    #[error(
        "not a name for the table: {0:?}; take up to 52 lower-case letters, digits and underscores, behind a schema or not"
    )]
    BadTable(String),
    /// With this timeout a write could be applied too long after its fence in the cache.
    #[error("invalid timeout of a call: it must be from a millisecond to {limit:?}")]
    Timeout {
        /// The longest.
        limit: Duration,
    },
    /// The file of certificates cannot be used.
    #[error("the certificates in {} cannot be used: it must be a file of certificates in PEM", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS could not be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No connection could be made: nobody answers, or the server refuses user, password or database.
    #[error(
        "cannot connect to Postgres: check that it runs and takes connections from here, that user, password and database are \
         right, and, over TLS, that its certificate is one that the system or PGSSLROOTCERT trusts (`sslmode=disable` where \
         the network is your own). A pooler must be in session mode, and pass `options` on"
    )]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server takes no writes.
    #[error(
        "this server of Postgres is read-only, a replica perhaps: what it answers may be old. Name the primary, or every \
         server (postgres://user@one,two/database)"
    )]
    ReadOnly,
    /// What the server acknowledges may be lost.
    #[error("Postgres would lose sessions that it has acknowledged: {0}")]
    NotDurable(&'static str),
    /// The server does not end statements that take too long, as it was asked to.
    #[error(
        "statement_timeout is {found} ms (0: none) and not what the connection asked for, so a write could be applied too late: \
         connect to the server itself, or through a pooler in session mode that passes `options` on"
    )]
    NoStatementTimeout {
        /// What the server has, in milliseconds.
        found: i64,
    },
    /// The table is missing.
    #[error("there is no table {table}: call `PostgresBuilder::create_table`, or run\n\n{migration}")]
    NoTable {
        /// Its name.
        table: String,
        /// What makes it.
        migration: String,
    },
    /// The table is one of another layout, or somebody else's.
    #[error(
        "the table {table} is not what this version of session-runtime uses ({found}): take another name \
         (`PostgresBuilder::table`), or migrate it to\n\n{migration}"
    )]
    OtherLayout {
        /// Its name.
        table: String,
        /// Its comment and its columns.
        found: String,
        /// What makes the table that is used.
        migration: String,
    },
    /// The user may not use the table.
    #[error("the user of the connection may not use the table: GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO ...")]
    NotPermitted {
        /// Its name.
        table: String,
    },
    /// The table could not be made: the user may not, or the server failed.
    #[error("the table could not be made: let a user who may create tables run\n\n{migration}")]
    Create {
        /// What makes it.
        migration: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The table could not be looked at.
    #[error("the table could not be checked")]
    Query(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl SetupError {
    pub(super) fn query(error: tokio_postgres::Error) -> Self {
        Self::Query(Cause::from(error).into())
    }

    /// Why there is no connection.
    pub(super) fn connect(error: CallError) -> Self {
        if error.is_read_only() {
            Self::ReadOnly
        } else {
            Self::Connect(error.into_source())
        }
    }
}
