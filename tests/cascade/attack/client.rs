//! A client: one HTTP request on a connection of its own, and what its answer means.

use std::net::SocketAddr;
use std::time::Duration;

use session_tests::attack::View;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::history::{Kind, Outcome, Seen};

/// How long a client waits that does not hang up early. A load in the Datastore tier (15 s) and a commit (8 s) can take
/// longer; what becomes of them is then unknown, as it is to a person.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What is asked of a node.
pub(super) struct Order<'a> {
    pub(super) kind: Kind,
    pub(super) number: u64,
    /// How long the handler is to dwell between load and change, in milliseconds.
    pub(super) dwell: u64,
    pub(super) cookie: Option<&'a str>,
    /// After how long the client hangs up.
    pub(super) patience: Duration,
}

/// The outcome, and the cookie that came with it.
pub(super) async fn ask(node: Option<SocketAddr>, order: &Order<'_>) -> (Outcome, Option<String>) {
    let Some(node) = node else {
        return (Outcome::Refused("node down"), None);
    };
    let Ok(Ok(stream)) = timeout(order.patience, TcpStream::connect(node)).await else {
        return (Outcome::Refused("node down"), None);
    };
    match timeout(order.patience, exchange(stream, order)).await {
        Err(_) => (Outcome::Unknown("hung up"), None),
        Ok(Err(_)) => (Outcome::Unknown("connection lost"), None),
        Ok(Ok(answer)) => match Answer::parse(&answer) {
            // Cut off in the middle, as when the node dies.
            None => (Outcome::Unknown("connection lost"), None),
            Some(answer) => (judge(order.kind, &answer), answer.cookie),
        },
    }
}

async fn exchange(mut stream: TcpStream, order: &Order<'_>) -> std::io::Result<Vec<u8>> {
    let method = if order.kind == Kind::Read { "GET" } else { "POST" };
    let Order { number, dwell, .. } = order;
    let mut request = format!(
        "{method} /{}?number={number}&ms={dwell} HTTP/1.1\r\nhost: attack\r\nconnection: close\r\n",
        order.kind.path()
    );
    if let Some(cookie) = order.cookie {
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
    /// `name=value`, unless it takes the cookie away.
    cookie: Option<String>,
    /// How the commit ended, as `Server-Timing` has it.
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

fn judge(kind: Kind, answer: &Answer<'_>) -> Outcome {
    let wrong = || {
        let body = String::from_utf8_lossy(answer.body);
        Outcome::Wrong(format!("{} {:?} {body}", answer.status, answer.commit))
    };
    let seen = match (answer.status, answer.commit) {
        (200, None | Some("clean")) => Seen::Clean,
        (200, Some("coherent")) => Seen::ByAll,
        (200, Some("degraded")) => Seen::Degraded,
        (200, Some("unfenced")) => Seen::Unfenced,
        (409, Some("gone")) => return Outcome::Gone,
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
    if writes != (seen != Seen::Clean) {
        return wrong();
    }
    Outcome::Answered(view, seen)
}
