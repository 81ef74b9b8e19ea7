//! An HTTP client: one request on a connection of its own.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a request without a body; the whole answer.
///
/// # Errors
/// When the connection breaks.
pub async fn exchange(mut stream: TcpStream, method: &str, path: &str, cookie: Option<&str>) -> io::Result<Vec<u8>> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n");
    if let Some(cookie) = cookie {
        request.extend(["cookie: ", cookie, "\r\n"]);
    }
    request += "content-length: 0\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// An answer that has arrived whole.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `name=value`, where a cookie was set that is not removed.
    pub cookie: Option<String>,
    /// The body.
    pub body: String,
    /// `Server-Timing`, or nothing.
    timing: String,
}

impl Answer {
    /// `None` where it has not arrived whole, as when the node was killed.
    pub fn parse(bytes: Vec<u8>) -> Option<Self> {
        let text = String::from_utf8(bytes).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let mut answer = Self {
            status: lines.next()?.split(' ').nth(1)?.parse().ok()?,
            cookie: None,
            body: body.to_owned(),
            timing: String::new(),
        };
        let mut is_chunked = false;
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            match name {
                "content-length" if value.parse() != Ok(body.len()) => return None,
                "transfer-encoding" => is_chunked = value == "chunked",
                "set-cookie" if !value.contains("Max-Age=0") => {
                    answer.cookie = value.split(';').next().map(str::to_owned);
                }
                "server-timing" => value.clone_into(&mut answer.timing),
                _ => {}
            }
        }
        if is_chunked {
            answer.body = unchunked(body)?;
        }
        Some(answer)
    }

    /// The tier that answered the load, as `Server-Timing` has it.
    pub fn load(&self) -> Option<&str> {
        self.timed("load")
    }

    /// How the commit ended, as `Server-Timing` has it.
    pub fn commit(&self) -> Option<&str> {
        self.timed("commit")
    }

    fn timed(&self, what: &str) -> Option<&str> {
        let (_, rest) = self.timing.split_once(&format!("{what};desc=\""))?;
        rest.split('"').next()
    }
}

/// A body without the lengths of its chunks; `None` where the last chunk has not arrived.
fn unchunked(mut rest: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (len, after) = rest.split_once("\r\n")?;
        let len = usize::from_str_radix(len, 16).ok()?;
        if len == 0 {
            return Some(body);
        }
        body += after.get(..len)?;
        rest = after.get(len..)?.strip_prefix("\r\n")?;
    }
}
