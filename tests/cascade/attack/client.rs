//! A client: sends one HTTP request on a new connection, and classifies the response.

use std::net::SocketAddr;
use std::time::Duration;

use session_tests::attack::View;
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
    let commit = answer.commit();
    let wrong = || Outcome::Unexpected(format!("{} {commit:?} {}", answer.status, answer.body));
    let seen = match (answer.status, commit) {
        (200, None | Some("clean")) => Ack::Clean,
        (200, Some("coherent")) => Ack::Coherent,
        (200, Some("degraded")) => Ack::Degraded,
        (200, Some("unfenced")) => Ack::Unfenced,
        (409, Some("gone" | "superseded")) => return Outcome::Gone,
        (409, Some("conflict")) => return Outcome::Refused("conflict"),
        (503, Some("unavailable")) => return Outcome::Refused("unavailable"),
        (503, Some("unknown")) => return Outcome::Unknown("unknown"),
        (503, None) => return Outcome::Refused("unread"),
        _ => return wrong(),
    };
    let Ok(view) = serde_json::from_str::<View>(&answer.body) else {
        return wrong();
    };
    let writes = kind != Kind::Read && !view.is_new;
    if writes != (seen != Ack::Clean) {
        return wrong();
    }
    Outcome::Answered(view, seen)
}
