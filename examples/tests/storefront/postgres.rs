//! The shop on Postgres, named by the environment alone.
//!
//! The environment of a process is set when it starts, so the test runs this test binary again as a child, in which
//! [`SERVES`] is set.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use reqwest::StatusCode;
use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};
use session_runtime::CascadeStore;
use session_tests::services::postgres::PostgresServer;

use super::program;

/// Set in the child.
const SERVES: &str = "SESSION_EXAMPLES_SERVES";
const TEST: &str = "storefront::postgres::the_shop_runs_on_postgres_by_its_url_alone";
/// What the child prints before the address.
const MARK: &str = "listening on ";

/// Ends with the test.
struct Shop(Child);

impl Drop for Shop {
    fn drop(&mut self) {
        let _has_ended_already = self.0.kill();
        let _was_waited_for = self.0.wait();
    }
}

impl Shop {
    /// Starts a shop of this environment; where it listens.
    fn open(variables: &[(&str, &str)]) -> (Self, String) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([TEST, "--exact", "--nocapture", "--test-threads=1"]);
        command.env(SERVES, "1").envs(variables.iter().copied());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut shop = Self(child);
        let lines = BufReader::new(shop.0.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once(MARK)?.1.to_owned()));
        (shop, address.expect("the shop opens"))
    }
}

#[expect(clippy::print_stdout, reason = "the parent waits for this line")]
async fn serve() {
    let store = CascadeStore::from_env().await.unwrap();
    let address = crate::serve(program::app::app(&store)).await;
    println!("{MARK}http://{address}");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn the_shop_runs_on_postgres_by_its_url_alone() {
    if std::env::var_os(SERVES).is_some() {
        return serve().await;
    }
    let Some(server) = PostgresServer::start() else { return };
    let url = server.url();
    let variables = [
        ("DATABASE_URL", url.as_str()),
        ("SESSION_KEYS", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="),
    ];
    let (first, second) = (Shop::open(&variables), Shop::open(&variables));
    let http = reqwest::Client::new();
    let visited = http.post(format!("{}/api/visit", first.1)).send().await.unwrap();
    let cookie = visited.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(visited.text().await.unwrap(), r#"{"visits":1}"#);
    // Another node, on the same database.
    let visit = http.post(format!("{}/api/visit", second.1)).header(COOKIE, cookie);
    let visited = visit.send().await.unwrap();
    let timing = visited.headers()["server-timing"].to_str().unwrap().to_owned();
    assert!(timing.starts_with("load;desc=\"postgres\";dur="), "{timing}");
    assert_eq!(visited.text().await.unwrap(), r#"{"visits":2}"#);
    let page = http.get(&second.1).header(COOKIE, cookie).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("<b>postgres</b>"), "{page}");
    assert_eq!(server.sql("SELECT count(*) FROM session_records"), "1");

    let health = async || {
        let response = http.get(format!("{}/health", first.1)).send().await.unwrap();
        let status = response.status();
        (status, response.json::<Value>().await.unwrap())
    };
    let (status, body) = health().await;
    assert_eq!(
        (status, &body["durable"]["product"]),
        (StatusCode::OK, &json!("postgresql"))
    );
    server.kill();
    let (status, body) = health().await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "it is the authority");
    assert_eq!(body["degraded"], json!(["postgres does not answer"]));
    server.restart();
    assert_eq!(health().await.0, StatusCode::OK);
}
