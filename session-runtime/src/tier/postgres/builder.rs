//! Configures and connects the tier.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;

use super::call_error::{CallError, Cause};
use super::connections::{Connections, UNSENT_TIMEOUT};
use super::setup_error::SetupError;
use super::table::{self, TableName};
use super::tier::Postgres;
use super::tls;

/// The connection string.
const URL: &str = "DATABASE_URL";
/// The file of certificates to trust, as libpq calls it.
const ROOT_CERTIFICATES: &str = "PGSSLROOTCERT";

/// As many as other pools have (`HikariCP`'s `maximumPoolSize`, sqlx's `max_connections`). At a millisecond a call they
/// make 10,000 calls a second, more than one node of a web service does.
const DEFAULT_CONNECTIONS: usize = 10;
/// A server takes 100 by default (`max_connections`), and few take thousands.
const MAX_CONNECTIONS: usize = 1_000;

const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// A fence in the cache outlives two of these, and [`UNSENT_TIMEOUT`].
const MAX_CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Enough for a lost SYN, which is sent again after a second (RFC 6298), and well within a call.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a connection is idle before the network is asked whether it still leads anywhere.
const KEEP_ALIVE: Duration = Duration::from_mins(1);

/// Sets the connection, table and timeout of a [`Postgres`].
#[derive(Clone)]
pub struct PostgresBuilder {
    url: String,
    root_certificates: Option<PathBuf>,
    table: String,
    creates_table: bool,
    connections: usize,
    call_timeout: Duration,
}

impl Postgres {
    /// What makes the table, unless the builder is given another [name](PostgresBuilder::table): for a migration of
    /// your own.
    pub const MIGRATION: &'static str = table::MIGRATION;

    /// Connects as `DATABASE_URL` says, makes the table where there is none, and checks it. `PGSSLROOTCERT` may name a
    /// file of certificates to trust in place of the system's.
    ///
    /// # Errors
    /// As [`PostgresBuilder::connect`].
    pub async fn from_env() -> Result<Self, SetupError> {
        PostgresBuilder::from_env()?.create_table().connect().await
    }

    /// A builder of a tier on the database of this connection string, as libpq takes it:
    /// `postgres://user:password@host/database` or `host=... user=...`. Several hosts, with commas between them, are
    /// tried in turn for one that takes writes.
    ///
    /// TLS is used where the server has it, and insisted on with `sslmode=require` or `verify-full`; the certificate is
    /// verified in any case. `sslmode=disable` is for a network of one's own.
    pub fn builder(url: impl Into<String>) -> PostgresBuilder {
        PostgresBuilder {
            url: url.into(),
            root_certificates: None,
            table: TableName::default().to_string(),
            creates_table: false,
            connections: DEFAULT_CONNECTIONS,
            call_timeout: DEFAULT_CALL_TIMEOUT,
        }
    }
}

impl PostgresBuilder {
    /// A builder with the settings of the environment; see [`Postgres::from_env`].
    pub fn from_env() -> Result<Self, SetupError> {
        let var = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let builder = Postgres::builder(var(URL).ok_or(SetupError::NoUrl)?);
        Ok(Self {
            root_certificates: var(ROOT_CERTIFICATES).map(PathBuf::from),
            ..builder
        })
    }

    /// A file of certificates, in PEM, to trust in place of the system's: for a server with a certificate of a private
    /// authority, as clouds have them.
    #[must_use]
    pub fn root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.root_certificates = Some(path.into());
        self
    }

    /// The table, with its schema or without. Default: `session_records`. At most 52 lower-case letters, digits and
    /// underscores.
    #[must_use]
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// Makes the table if there is none. Nodes that start at once do so one after the other.
    #[must_use]
    pub fn create_table(mut self) -> Self {
        self.creates_table = true;
        self
    }

    /// How many connections there are to the server, each made when it is needed. Default: 10; from 1 to 1,000.
    ///
    /// Each carries one call at a time, and lets 99 more wait; any further call fails at once as
    /// [`Unavailable`](crate::tier::TierErrorKind::Unavailable).
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.clamp(1, MAX_CONNECTIONS);
        self
    }

    /// How long a call may take, from its beginning to the answer; the server ends a statement that takes as long
    /// (`statement_timeout`). Default: 5 seconds; at most 30. Fences in the cache last for twice this and 25 seconds.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// Connects, and checks table, privileges and the server's settings (see the module).
    ///
    /// # Errors
    /// Every [`SetupError`] ends the start: no connection, a server that is read-only or loses what it acknowledges, no
    /// table, or one of another layout.
    pub async fn connect(self) -> Result<Postgres, SetupError> {
        if self.call_timeout < Duration::from_millis(1) || self.call_timeout > MAX_CALL_TIMEOUT {
            return Err(SetupError::Timeout {
                limit: MAX_CALL_TIMEOUT,
            });
        }
        let table = TableName::new(&self.table).ok_or_else(|| SetupError::BadTable(self.table.clone()))?;
        let config = self.config()?;
        let tls = tls::connector(&config, self.root_certificates.as_deref())?;
        let connections = Connections::new(config.clone(), tls, self.connections, self.call_timeout)
            .map_err(|error| SetupError::Connect(error.into()))?;
        let deadline = Instant::now() + self.call_timeout;
        let mut connection = connections.connection(deadline).await.map_err(SetupError::connect)?;
        let statement_timeout = self.statement_timeout();
        let prepared = timeout_at(deadline, async {
            if self.creates_table {
                table::create(&mut connection, &table)
                    .await
                    .map_err(|error| SetupError::Create {
                        migration: table.migration(),
                        source: Cause::from(error).into(),
                    })?;
            }
            table::check(&connection, &table, statement_timeout).await
        });
        let checked = prepared
            .await
            .unwrap_or_else(|elapsed| Err(SetupError::connect(CallError::not_sent(elapsed))));
        if checked.is_err() {
            // It may be in the midst of something.
            drop(Object::take(connection));
        }
        checked?;
        Ok(Postgres::new(connections, &table, self.call_timeout))
    }

    /// In milliseconds.
    fn statement_timeout(&self) -> i64 {
        i64::try_from(self.call_timeout.as_millis()).unwrap_or(i64::MAX)
    }

    /// The connection string, and what every connection of this tier must have.
    fn config(&self) -> Result<Config, SetupError> {
        // Certificates are verified in any case, so all three are the same. The error is dropped: it may show the
        // string.
        let url = ["verify-full", "verify-ca"].iter().fold(self.url.clone(), |url, mode| {
            url.replace(&format!("sslmode={mode}"), "sslmode=require")
        });
        let mut config = Config::from_str(&url).map_err(|_| SetupError::BadUrl)?;
        // An update that waits for another one's lock is to see what that one wrote, and not to fail.
        let options = format!(
            "{} -c statement_timeout={} -c default_transaction_isolation=read\\ committed",
            config.get_options().unwrap_or_default(),
            self.statement_timeout()
        );
        config.options(options.trim_start());
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        if config.get_application_name().is_none() {
            config.application_name("session-runtime");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        config.tcp_user_timeout(UNSENT_TIMEOUT);
        config.keepalives_idle(config.get_keepalives_idle().min(KEEP_ALIVE));
        Ok(config)
    }
}

impl fmt::Debug for PostgresBuilder {
    /// Without the connection string, in which there is a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresBuilder")
            .field("root_certificates", &self.root_certificates)
            .field("table", &self.table)
            .field("creates_table", &self.creates_table)
            .field("connections", &self.connections)
            .field("call_timeout", &self.call_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn a_connection_has_its_options_and_keeps_those_of_the_string() {
        let builder = Postgres::builder("postgres://u:p@h/d?sslmode=verify-full&options=-c%20geqo%3Doff");
        let config = builder.config().unwrap();
        assert_eq!(
            config.get_options(),
            Some("-c geqo=off -c statement_timeout=5000 -c default_transaction_isolation=read\\ committed")
        );
        assert_eq!(config.get_ssl_mode(), tokio_postgres::config::SslMode::Require);
        assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_refused_and_no_password_is_shown() {
        let url = "postgres://ada:hunter2@127.0.0.1:1/d";
        for (builder, expected) in [
            (Postgres::builder("ada:hunter2@h/d?x"), "cannot be read"),
            (Postgres::builder(format!("{url}?hunter2=1")), "cannot be read"),
            (Postgres::builder(url).table("A\"; DROP"), "not a name"),
            (Postgres::builder(url).call_timeout(Duration::ZERO), "invalid timeout"),
            (
                Postgres::builder(url).call_timeout(Duration::from_secs(31)),
                "invalid timeout",
            ),
            (Postgres::builder(url).root_certificates("/none"), "/none"),
            (Postgres::builder(url), "cannot connect"),
        ] {
            let debug = format!("{builder:?}");
            let error = builder.connect().await.unwrap_err();
            let causes = std::iter::successors(Some(&error as &dyn Error), |&error| error.source());
            let report = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
            assert!(report.contains(expected), "{report}");
            for shown in [debug, report, format!("{error:?}")] {
                assert!(!shown.contains("hunter2"), "{shown}");
            }
        }
    }
}
