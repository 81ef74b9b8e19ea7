//! A client: sends one HTTP request on a new connection, and classifies the response.

use std::net::SocketAddr;
use std::time::Duration;

use session_tests::attack::{Committed, View};
use session_tests::http::{Answer, exchange};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::history::{Ack, Kind, Outcome};

/// How long a client waits that does not disconnect early. A load from Datastore (15 s) and a commit (8 s) can take longer;
/// then the outcome is unknown.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// A request to a node.
pub(super) struct Call<'a> {
    pub(super) kind: Kind,
    pub(super) number: u64,
    /// How long the handler waits between load and change, in milliseconds.
    pub(super) delay: u64,
    pub(super) cookie: Option<&'a str>,
    /// After how long the client disconnects.
    pub(super) timeout: Duration,
}

/// Sends a request; returns the outcome, and the cookie that was set.
pub(super) async fn send(node: Option<SocketAddr>, call: &Call<'_>) -> (Outcome, Option<String>) {
    let Some(node) = node else {
        return (Outcome::Refused("node down"), None);
    };
    let Ok(Ok(stream)) = timeout(call.timeout, TcpStream::connect(node)).await else {
        return (Outcome::Refused("node down"), None);
    };
    let method = if call.kind == Kind::Read { "GET" } else { "POST" };
    let Call { number, delay, .. } = call;
    let path = format!("/{}?number={number}&ms={delay}", call.kind.path());
    match timeout(call.timeout, exchange(stream, method, &path, call.cookie)).await {
        Err(_) => (Outcome::Unknown("disconnected"), None),
        Ok(Err(_)) => (Outcome::Unknown("connection lost"), None),
        Ok(Ok(answer)) => match Answer::parse(answer) {
            // The response is incomplete, as when the node is killed.
            None => (Outcome::Unknown("connection lost"), None),
            Some(answer) => (classify(call.kind, &answer), answer.cookie),
        },
    }
}

fn classify(kind: Kind, answer: &Answer) -> Outcome {
    let wrong = || Outcome::Unexpected(format!("{} {:?} {}", answer.status, answer.commit(), answer.body));
    let (commit, view) = if answer.status != 200 {
        (answer.commit().unwrap_or("unread").to_owned(), None)
    } else if kind.tells_outcome() {
        let Ok(Committed { commit, view }) = serde_json::from_str(&answer.body) else {
            return wrong();
        };
        (commit, Some(view))
    } else {
        let Ok(view) = serde_json::from_str::<View>(&answer.body) else {
            return wrong();
        };
        (answer.commit().unwrap_or("clean").to_owned(), Some(view))
    };
    let seen = match commit.as_str() {
        "clean" => Ack::Clean,
        "coherent" => Ack::Coherent,
        "degraded" => Ack::Degraded,
        "unfenced" => Ack::Unfenced,
        "gone" | "superseded" => return Outcome::Gone,
        "conflict" => return Outcome::Refused("conflict"),
        "unavailable" => return Outcome::Refused("unavailable"),
        "unknown" => return Outcome::Unknown("unknown"),
        "unread" if answer.status == 503 => return Outcome::Refused("unread"),
        _ => return wrong(),
    };
    let Some(view) = view else { return wrong() };
    match (seen, view.is_new) {
        // A session that is read may be renewed.
        (Ack::Clean, false) if kind != Kind::Read => return wrong(),
        (Ack::Clean, _) | (_, false) => {}
        (_, true) if kind.tells_outcome() => return Outcome::Unknown("written, and ended since"),
        (_, true) => return wrong(),
    }
    if kind == Kind::SignIn && !view.is_new && view.id == 0 {
        let is_empty = view.adds.is_empty() && (view.visits, view.note) == (0, 0);
        return if is_empty {
            Outcome::Refused("a session of its own")
        } else {
            wrong()
        };
    }
    Outcome::Answered(view, seen)
}
