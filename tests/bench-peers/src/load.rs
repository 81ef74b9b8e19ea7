//! A load generator: keep-alive connections that each send one request after another.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// One request, and its answer.
struct Answer {
    body: String,
    /// `name=value` of each cookie that was set.
    cookies: Vec<String>,
}

async fn ask(stream: &mut TcpStream, buffer: &mut Vec<u8>, path: &str, cookie: &str) -> io::Result<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\ncookie: {cookie}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    buffer.clear();
    let head = loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
    if !text.starts_with("HTTP/1.1 200") {
        return Err(io::Error::other(text.lines().next().unwrap_or_default().to_owned()));
    }
    let lines = || text.lines().filter_map(|line| line.split_once(": "));
    let len = lines().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let len: usize = len.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    while buffer.len() < head + len {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let set = lines().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    Ok(Answer {
        body: String::from_utf8_lossy(&buffer[head..head + len]).into_owned(),
        cookies: set
            .filter_map(|(_, value)| Some(value.split(';').next()?.to_owned()))
            .collect(),
    })
}

async fn once(address: SocketAddr, path: &str, cookie: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    ask(&mut stream, &mut Vec::new(), path, cookie).await
}

/// Makes a session; its cookies.
pub(crate) async fn cookie(address: SocketAddr) -> io::Result<String> {
    Ok(once(address, "/seed", "").await?.cookies.join("; "))
}

/// How many visits the session counts.
pub(crate) async fn visits(address: SocketAddr, cookie: &str) -> io::Result<u64> {
    let answer = once(address, "/read", cookie).await?;
    answer.body.parse().map_err(io::Error::other)
}

/// Sends requests on one connection for each cookie, for so long; how many were answered.
pub(crate) async fn run(
    address: SocketAddr,
    path: &'static str,
    cookies: &[String],
    time: Duration,
) -> io::Result<u64> {
    let mut running = JoinSet::new();
    let end = Instant::now() + time;
    for cookie in cookies {
        let mut cookie = cookie.clone();
        running.spawn(async move {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (mut buffer, mut count) = (Vec::with_capacity(4096), 0);
            while Instant::now() < end {
                let answer = ask(&mut stream, &mut buffer, path, &cookie).await?;
                if !answer.cookies.is_empty() {
                    cookie = answer.cookies.join("; ");
                }
                count += 1;
            }
            io::Result::Ok(count)
        });
    }
    let mut total = 0;
    while let Some(ended) = running.join_next().await {
        total += ended??;
    }
    Ok(total)
}
