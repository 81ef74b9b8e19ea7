//! The shop on servers that are named by the environment alone.
//!
//! The environment of a process is set when it starts, so a test runs this test binary again as a child, in which
//! [`SERVES`] is set.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::StatusCode;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};
use session_runtime::CascadeStore;
#[cfg(feature = "postgres")]
use session_tests::services::postgres::PostgresServer;
#[cfg(feature = "valkey")]
use session_tests::services::valkey::ValkeyServer;

use super::program;

/// Set in the child.
const SERVES: &str = "SESSION_EXAMPLES_SERVES";
const TEST: &str = "storefront::servers::the_shop_serves";
const KEYS: (&str, &str) = ("SESSION_KEYS", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
/// What the child prints before the address.
const MARK: &str = "listening on ";

/// A shop, and where it listens. It ends with the test.
struct Shop(Child, String);

impl Drop for Shop {
    fn drop(&mut self) {
        let _has_ended_already = self.0.kill();
        let _was_waited_for = self.0.wait();
    }
}

impl Shop {
    /// Starts a shop of this environment.
    #[cfg(feature = "postgres")]
    fn open(variables: &[(&str, &str)]) -> Self {
        Self::open_in(&std::env::temp_dir(), variables)
    }

    /// Starts a shop of this environment, in this directory.
    fn open_in(directory: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.current_dir(directory);
        command.args([TEST, "--exact", "--nocapture", "--test-threads=1"]);
        command.env(SERVES, "1").envs(variables.iter().copied());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut shop = Self(child, String::new());
        let lines = BufReader::new(shop.0.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once(MARK)?.1.to_owned()));
        shop.1 = address.expect("the shop opens");
        shop
    }
}

/// The child. In a run of the tests it does nothing.
#[tokio::test]
async fn the_shop_serves() {
    if std::env::var_os(SERVES).is_none() {
        return;
    }
    let store = CascadeStore::from_env().await.unwrap();
    let address = crate::serve(program::app::app(&store)).await;
    println!("{MARK}http://{address}");
    std::future::pending::<()>().await;
}

/// Who answers the load of a session that another node has created and changed.
async fn visit(first: &Shop, second: &Shop) -> (String, String) {
    let http = reqwest::Client::new();
    let visited = http.post(format!("{}/api/visit", first.1)).send().await.unwrap();
    let cookie = visited.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(visited.text().await.unwrap(), r#"{"visits":1}"#);
    let visit = http.post(format!("{}/api/visit", second.1)).header(COOKIE, cookie);
    let visited = visit.send().await.unwrap();
    let timing = visited.headers()["server-timing"].to_str().unwrap().to_owned();
    assert_eq!(visited.text().await.unwrap(), r#"{"visits":2}"#);
    let page = http.get(&second.1).header(COOKIE, cookie).send().await.unwrap();
    (timing, page.text().await.unwrap())
}

/// What the shop says of its health.
async fn health(shop: &Shop) -> (StatusCode, Value) {
    let response = reqwest::get(format!("{}/health", shop.1)).await.unwrap();
    let status = response.status();
    (status, response.json().await.unwrap())
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn the_shop_runs_on_postgres_by_its_url_alone() {
    let Some(server) = PostgresServer::start() else { return };
    let url = server.url();
    let variables = [("DATABASE_URL", url.as_str()), KEYS];
    let shop = Shop::open(&variables);
    let (timing, page) = visit(&shop, &Shop::open(&variables)).await;
    assert!(timing.starts_with("load;desc=\"postgres\";dur="), "{timing}");
    assert!(page.contains("<b>postgres</b>"), "{page}");
    assert_eq!(server.sql("SELECT count(*) FROM session_records"), "1");

    let (status, body) = health(&shop).await;
    assert_eq!(
        (status, &body["durable"]["product"]),
        (StatusCode::OK, &json!("postgresql"))
    );
    server.kill();
    let (status, body) = health(&shop).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "it is the authority");
    assert_eq!(body["degraded"], json!(["postgres does not answer"]));
    server.restart();
    assert_eq!(health(&shop).await.0, StatusCode::OK);
}

/// Over a file, so that there is one node.
#[cfg(feature = "valkey")]
#[tokio::test]
async fn the_shop_runs_on_valkey_by_its_url_alone() {
    let Some(mut server) = ValkeyServer::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (url, file) = (server.url(), folder.path().join("sessions.redb"));
    for variable in ["VALKEY_URL", "REDIS_URL"] {
        let directory = folder.path().join(variable);
        std::fs::create_dir(&directory).unwrap();
        let mut variables = vec![(variable, url.as_str()), ("SESSION_SINGLE_PROCESS", "1"), KEYS];
        // With it, the other variable is the application's own.
        if variable == "VALKEY_URL" {
            variables.push(("SESSION_STORE_PATH", file.to_str().unwrap()));
        }
        let shop = Shop::open_in(&directory, &variables);
        let (timing, page) = visit(&shop, &shop).await;
        assert!(timing.starts_with("load;desc=\"valkey\";dur="), "{timing}");
        assert!(page.contains("<b>valkey</b>"), "{page}");

        let (status, body) = health(&shop).await;
        assert_eq!((status, &body["cache"]["product"]), (StatusCode::OK, &json!("redis")));
        server.kill();
        let (status, body) = health(&shop).await;
        assert_eq!(status, StatusCode::OK, "the file has the sessions");
        assert_eq!(body["degraded"], json!(["valkey does not answer"]));
        server.restart();
        assert_eq!(health(&shop).await.1["degraded"], json!([]));
    }
}

#[cfg(all(feature = "postgres", feature = "valkey"))]
#[tokio::test]
async fn the_shop_runs_on_valkey_over_postgres_by_their_urls_alone() {
    let (Some(server), Some(cache)) = (PostgresServer::start(), ValkeyServer::start()) else {
        return;
    };
    let (database, cache) = (server.url(), cache.url());
    let variables = [("DATABASE_URL", database.as_str()), ("REDIS_URL", cache.as_str()), KEYS];
    let (timing, page) = visit(&Shop::open(&variables), &Shop::open(&variables)).await;
    assert!(timing.starts_with("load;desc=\"valkey\";dur="), "{timing}");
    assert!(page.contains("<b>valkey</b>"), "{page}");
    assert_eq!(server.sql("SELECT count(*) FROM session_records"), "1");
}
