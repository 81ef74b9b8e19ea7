//! A client: sends one HTTP request on a new connection, and classifies the response.

use std::net::SocketAddr;
use std::time::Duration;

use session_tests::attack::View;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
    match timeout(call.timeout, exchange(stream, call)).await {
        Err(_) => (Outcome::Unknown("disconnected"), None),
        Ok(Err(_)) => (Outcome::Unknown("connection lost"), None),
        Ok(Ok(answer)) => match Answer::parse(&answer) {
            // The response is incomplete, as when the node is killed.
            None => (Outcome::Unknown("connection lost"), None),
            Some(answer) => (classify(call.kind, &answer), answer.cookie),
        },
    }
}

async fn exchange(mut stream: TcpStream, call: &Call<'_>) -> std::io::Result<Vec<u8>> {
    let method = if call.kind == Kind::Read { "GET" } else { "POST" };
    let Call { number, delay, .. } = call;
    let mut request = format!(
        "{method} /{}?number={number}&ms={delay} HTTP/1.1\r\nhost: attack\r\nconnection: close\r\n",
        call.kind.path()
    );
    if let Some(cookie) = call.cookie {
        request.extend(["cookie: ", cookie, "\r\n"]);
    }
    request += "content-length: 0\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

struct Answer<'a> {
    status: u16,
    /// `name=value`, unless the cookie is removed.
    cookie: Option<String>,
    /// The outcome of the commit, from `Server-Timing`.
    commit: Option<&'a str>,
    body: &'a [u8],
}

impl<'a> Answer<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let (head, body) = (std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 4..]);
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let mut answer = Self {
            status,
            cookie: None,
            commit: None,
            body,
        };
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            match name {
                "content-length" if value.parse() != Ok(body.len()) => return None,
                "set-cookie" if !value.contains("Max-Age=0") => {
                    answer.cookie = value.split(';').next().map(str::to_owned);
                }
                "server-timing" => {
                    answer.commit = value
                        .split_once("commit;desc=\"")
                        .and_then(|(_, rest)| rest.split('"').next());
                }
                _ => {}
            }
        }
        Some(answer)
    }
}

fn classify(kind: Kind, answer: &Answer<'_>) -> Outcome {
    let wrong = || {
        let body = String::from_utf8_lossy(answer.body);
        Outcome::Unexpected(format!("{} {:?} {body}", answer.status, answer.commit))
    };
    let seen = match (answer.status, answer.commit) {
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
    let Ok(view) = serde_json::from_slice::<View>(answer.body) else {
        return wrong();
    };
    let writes = kind != Kind::Read && !view.is_new;
    if writes != (seen != Ack::Clean) {
        return wrong();
    }
    Outcome::Answered(view, seen)
}
