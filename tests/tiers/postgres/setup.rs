//! What the tier refuses when it is set up, and what it says.

use std::error::Error;
use std::fmt::Write as _;
use std::time::Duration;

use session_runtime::tier::DurableTier;
use session_runtime::tier::postgres::{Postgres, PostgresBuilder, SetupError};
use session_tests::proxy::{Fault, Proxy};
use session_tests::services::postgres::{self, PostgresServer};
use tokio::task::JoinSet;

use super::{bytes, done, soon, stored};

/// The error and its causes.
fn report(error: &SetupError) -> String {
    let causes = std::iter::successors(Some(error as &dyn Error), |&error| error.source());
    causes.fold(String::new(), |mut report, cause| {
        write!(report, "{cause}: ").unwrap();
        report
    })
}

async fn refused(builder: PostgresBuilder) -> (SetupError, String) {
    let error = builder.connect().await.unwrap_err();
    let report = report(&error);
    (error, report)
}

/// A tier on a table that nobody makes.
fn without_table(server: &PostgresServer, table: &str) -> PostgresBuilder {
    Postgres::builder(server.url()).table(table)
}

/// The columns, indexes and comment of a table.
fn describe(server: &PostgresServer, table: &str) -> String {
    let indexes = format!("SELECT indexdef FROM pg_indexes WHERE tablename = '{table}' ORDER BY 1");
    let comment = format!("SELECT obj_description('{table}'::regclass)");
    [format!("\\d {table}"), indexes, comment]
        .map(|sql| server.sql(&sql))
        .join("\n")
}

#[tokio::test]
async fn the_migration_makes_what_the_builder_makes() {
    let Some(server) = postgres::shared() else { return };
    let table = postgres::fresh_table();
    server.sql(&Postgres::MIGRATION.replace("session_records", &table));
    let tier = without_table(server, &table).connect().await.unwrap();
    let version = done(tier.insert("k", bytes("one"), soon()).await);

    // A table that is there stays as it is.
    let again = without_table(server, &table).create_table().connect().await.unwrap();
    assert_eq!(again.read("k").await.unwrap(), Some(stored("one", version)));
    let made = postgres::fresh_table();
    without_table(server, &made).create_table().connect().await.unwrap();
    let describe = |table: &str| describe(server, table).replace(table, "t");
    assert_eq!(describe(&made), describe(&table));
    assert!(describe(&made).contains("INDEX t_expires_at"), "{}", describe(&made));
}

#[tokio::test]
async fn a_table_in_a_schema_is_used() {
    let Some(server) = postgres::shared() else { return };
    server.sql("CREATE SCHEMA IF NOT EXISTS shop");
    let tier = without_table(server, "shop.sessions")
        .create_table()
        .connect()
        .await
        .unwrap();
    done(tier.insert("k", bytes("one"), soon()).await);
    assert_eq!(server.sql("SELECT count(*) FROM shop.sessions"), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_start_at_once_make_one_table() {
    let Some(server) = postgres::shared() else { return };
    let builder = without_table(server, &postgres::fresh_table()).create_table();
    let mut nodes = JoinSet::new();
    for _ in 0..8 {
        let builder = builder.clone().call_timeout(super::PATIENT);
        nodes.spawn(async move { builder.connect().await });
    }
    for node in nodes.join_all().await {
        node.unwrap();
    }
}

#[tokio::test]
async fn without_a_table_the_error_has_the_migration() {
    let Some(server) = postgres::shared() else { return };
    let (error, report) = refused(without_table(server, "nothing_there")).await;
    assert!(matches!(error, SetupError::NoTable { .. }), "{error:?}");
    assert!(
        report.contains(&Postgres::MIGRATION.replace("session_records", "nothing_there")),
        "{report}"
    );
}

#[tokio::test]
async fn a_table_of_another_layout_is_refused_with_the_migration() {
    let Some(server) = postgres::shared() else { return };
    for change in [
        "ALTER TABLE $ ADD COLUMN owner text",
        "ALTER TABLE $ ALTER COLUMN version TYPE integer",
        "ALTER TABLE $ RENAME COLUMN value TO data",
        "COMMENT ON TABLE $ IS 'session-runtime layout 2'",
        "COMMENT ON TABLE $ IS NULL",
        "DROP TABLE $; CREATE TABLE $ (sid varchar PRIMARY KEY, sess json)",
        "ALTER TABLE $ RENAME TO $_kept; CREATE VIEW $ AS SELECT * FROM $_kept",
    ] {
        let table = postgres::fresh_table();
        server.sql(&Postgres::MIGRATION.replace("session_records", &table));
        server.sql(&change.replace('$', &table));
        let before = describe(server, &table);
        for builder in [
            without_table(server, &table),
            without_table(server, &table).create_table(),
        ] {
            let (error, report) = refused(builder).await;
            assert!(matches!(error, SetupError::OtherLayout { .. }), "{change}: {error:?}");
            let migration = Postgres::MIGRATION.replace("session_records", &table);
            assert!(report.contains(&migration), "{change}: {report}");
        }
        assert_eq!(describe(server, &table), before, "{change}");
    }
}

#[tokio::test]
async fn what_may_lose_acknowledged_sessions_is_refused() {
    let Some(server) = postgres::shared() else { return };
    let table = postgres::fresh_table();
    server.sql(&Postgres::MIGRATION.replace("session_records", &table));
    server.sql(&format!("ALTER TABLE {table} SET UNLOGGED"));
    let (error, report) = refused(without_table(server, &table)).await;
    assert!(matches!(error, SetupError::NotDurable(_)), "{error:?}");
    assert!(report.contains("SET LOGGED"), "{report}");
    server.sql(&format!("ALTER TABLE {table} SET LOGGED"));

    server.sql("CREATE ROLE hasty LOGIN SUPERUSER; ALTER ROLE hasty SET synchronous_commit = off");
    let hasty = Postgres::builder(server.url().replace("postgres@", "hasty@")).table(&table);
    let (error, report) = refused(hasty).await;
    assert!(matches!(error, SetupError::NotDurable(_)), "{error:?}");
    assert!(report.contains("synchronous_commit = on"), "{report}");
    without_table(server, &table).connect().await.unwrap();
}

#[tokio::test]
async fn a_user_without_privileges_is_told_which_to_grant() {
    let Some(server) = postgres::shared() else { return };
    let table = postgres::fresh_table();
    server.sql(&Postgres::MIGRATION.replace("session_records", &table));
    server.sql("CREATE ROLE guest LOGIN");
    server.sql(&format!("GRANT SELECT, INSERT, UPDATE ON {table} TO guest"));
    let url = server.url().replace("postgres@", "guest@");
    let guest = Postgres::builder(&url).table(&table);
    let (error, report) = refused(guest.clone()).await;
    assert!(matches!(error, SetupError::NotPermitted { .. }), "{error:?}");
    assert!(
        report.contains(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {table}")),
        "{report}"
    );
    server.sql(&format!("GRANT DELETE ON {table} TO guest"));
    guest.connect().await.unwrap();

    server.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    let (error, report) = refused(Postgres::builder(&url).table("not_made").create_table()).await;
    assert!(matches!(error, SetupError::Create { .. }), "{error:?}");
    assert!(
        report.contains("CREATE TABLE not_made") && report.contains("42501"),
        "{report}"
    );
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_shown() {
    let Some(server) = PostgresServer::start() else { return };
    server.sql("CREATE ROLE ada LOGIN PASSWORD 'correct horse'");
    server.require_passwords();
    let url = server.url();
    let with = |password: &str| Postgres::builder(url.replace("postgres@", &format!("ada:{password}@")));
    for password in ["battery%20staple", ""] {
        let (error, report) = refused(with(password)).await;
        assert!(matches!(error, SetupError::Connect(_)), "{error:?}");
        for shown in [report, format!("{error:?}"), format!("{:?}", with(password))] {
            assert!(!shown.contains("staple") && !shown.contains("horse"), "{shown}");
        }
    }
    server.sql("GRANT CREATE ON SCHEMA public TO ada");
    let tier = with("correct%20horse").create_table().connect().await.unwrap();
    assert!(!format!("{tier:?}").contains("horse"), "{tier:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    // Nothing listens on port 1 of this machine.
    let (error, report) = refused(Postgres::builder("postgres://ada:hunter2@127.0.0.1:1/shop")).await;
    assert!(matches!(error, SetupError::Connect(_)), "{error:?}");
    assert!(
        report.contains("check that it runs") && report.contains("refused"),
        "{report}"
    );
}

/// A pooler that ignores what it does not know drops the setting; here a proxy makes a zero of it.
#[tokio::test]
async fn a_server_without_a_statement_timeout_is_refused() {
    let Some(server) = postgres::shared() else { return };
    let table = postgres::fresh_table();
    server.sql(&Postgres::MIGRATION.replace("session_records", &table));
    let proxy = Proxy::start(server.address()).await;
    let builder = Postgres::builder(postgres::url(proxy.address())).table(table);
    let builder = builder.call_timeout(Duration::from_secs(2));
    builder.clone().connect().await.unwrap();
    // The message that begins a connection: its length, the protocol's version, and names with their values.
    let before = "client_encoding\0UTF8\0user\0postgres\0database\0postgres\0options\0-c statement_timeout=";
    let digit = 8 + before.len() as u64;
    proxy.to_server().always(Fault::Corrupt(digit, b'2' ^ b'0'));
    let (error, report) = refused(builder).await;
    assert!(
        matches!(error, SetupError::NoStatementTimeout { found: 0 }),
        "{error:?}"
    );
    assert!(report.contains("session mode"), "{report}");
}

#[tokio::test]
async fn over_a_socket() {
    let Some(server) = postgres::shared() else { return };
    let url = format!(
        "host={} port={} user=postgres dbname=postgres",
        server.socket_dir().display(),
        server.address().port()
    );
    let builder = Postgres::builder(url).table(postgres::fresh_table()).create_table();
    let tier = builder.connect().await.unwrap();
    let version = done(tier.insert("k", bytes("one"), soon()).await);
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("one", version)));
}

#[tokio::test]
async fn over_tls_with_a_certificate_that_is_verified() {
    let Some(server) = PostgresServer::start() else { return };
    let Some(authority) = server.use_tls() else { return };
    let url = server.url().replace("sslmode=disable", "sslmode=verify-full");
    let builder = Postgres::builder(&url).create_table();
    let tier = builder.clone().root_certificates(&authority).connect().await.unwrap();
    let version = done(tier.insert("k", bytes("one"), soon()).await);
    assert_eq!(tier.read("k").await.unwrap(), Some(stored("one", version)));
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'session-runtime'";
    assert_eq!(server.sql(encrypted), "t");

    // Signed by nobody whom the system knows, and for another name.
    let (error, report) = refused(builder.clone()).await;
    assert!(matches!(error, SetupError::Connect(_)), "{error:?}");
    assert!(report.contains("UnknownIssuer"), "{report}");
    let other_name = Postgres::builder(url.replace("127.0.0.1", "localhost")).root_certificates(&authority);
    let (_, report) = refused(other_name).await;
    assert!(report.contains("certificate"), "{report}");
}
