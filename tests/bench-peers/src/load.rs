//! The load generator: keep-alive connections that each send one request after another.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How much longer than planned a run may take: a server that answers slower than that does not work.
const GRACE: Duration = Duration::from_secs(120);
/// The same for each request of a run that ends with a number of them.
const GRACE_EACH: Duration = Duration::from_micros(500);

#[derive(Clone, Copy)]
pub(crate) enum Until {
    Time(Duration),
    /// As many requests, divided among the connections.
    Count(usize),
}

#[derive(Clone, Copy)]
pub(crate) enum Visitors<'a> {
    /// Each request is a new one's. Of every how many to keep the cookies.
    New(usize),
    /// The cookies of one session each. No two connections use the same one, unless there are fewer.
    Of(&'a [String]),
}

impl<'a> Visitors<'a> {
    /// New ones, if there are no sessions.
    pub(crate) fn of(sessions: &'a [String]) -> Self {
        if sessions.is_empty() {
            Self::New(0)
        } else {
            Self::Of(sessions)
        }
    }
}

#[derive(Default)]
pub(crate) struct Ran {
    pub(crate) requests: usize,
    pub(crate) elapsed: Duration,
    pub(crate) kept: Vec<String>,
    /// Of each request, in nanoseconds.
    latencies: Vec<u32>,
}

impl Ran {
    pub(crate) fn percentile_millis(&mut self, percent: usize) -> f64 {
        if self.latencies.is_empty() {
            return 0.0;
        }
        let at = (self.latencies.len() * percent / 100).min(self.latencies.len() - 1);
        f64::from(*self.latencies.select_nth_unstable(at).1) / 1e6
    }
}

pub(crate) async fn run(
    port: u16,
    path: &str,
    connections: usize,
    visitors: Visitors<'_>,
    until: Until,
) -> io::Result<Ran> {
    let begin = Instant::now();
    let (end, count, limit) = match until {
        Until::Time(time) => (Some(begin + time), usize::MAX, time + GRACE),
        Until::Count(count) => {
            let each = GRACE_EACH * u32::try_from(count).unwrap_or(u32::MAX);
            (None, count.div_ceil(connections), GRACE + each)
        }
    };
    let mut running = JoinSet::new();
    for connection in 0..connections {
        let (mine, keep_every) = match visitors {
            Visitors::New(keep_every) => (vec![Visitor::new(path, "")], keep_every),
            Visitors::Of(all) => {
                let mine = all.iter().cycle().skip(connection).step_by(connections);
                let mine = mine.take(all.len().div_ceil(connections));
                (mine.map(|cookies| Visitor::new(path, cookies)).collect(), 0)
            }
        };
        running.spawn(connection_loop(port, mine, end, count, keep_every));
    }
    let all = async {
        let mut total = Ran::default();
        while let Some(ended) = running.join_next().await {
            let one = ended??;
            total.requests += one.latencies.len();
            total.latencies.extend(one.latencies);
            total.kept.extend(one.kept);
        }
        total.elapsed = begin.elapsed();
        Ok(total)
    };
    timeout(limit, all).await?
}

async fn connection_loop(
    port: u16,
    mut visitors: Vec<Visitor>,
    end: Option<Instant>,
    count: usize,
    keep_every: usize,
) -> io::Result<Ran> {
    let mut client = Client::connect(port).await?;
    let mut ran = Ran::default();
    let (mut at, mut now) = (0, Instant::now());
    while ran.latencies.len() < count && end.is_none_or(|end| now < end) {
        at = if at + 1 < visitors.len() { at + 1 } else { 0 };
        let visitor = &mut visitors[at];
        let set = client.ask(&visitor.request).await?;
        let after = Instant::now();
        ran.latencies
            .push(u32::try_from((after - now).as_nanos()).unwrap_or(u32::MAX));
        now = after;
        if !visitor.cookies.is_empty() {
            visitor.keep(set);
        } else if keep_every > 0 && ran.latencies.len() % keep_every == 0 {
            ran.kept.push(set.join("; "));
        }
    }
    Ok(ran)
}

/// Makes as many sessions; their cookies.
pub(crate) async fn seed(port: u16, path: &str, count: usize) -> io::Result<Vec<String>> {
    let ran = run(port, path, count.min(16), Visitors::New(1), Until::Count(count)).await?;
    Ok(ran.kept)
}

/// The body of one answer.
pub(crate) async fn body(port: u16, path: &str, cookies: &str) -> io::Result<String> {
    let mut client = Client::connect(port).await?;
    timeout(GRACE, client.ask(&Visitor::new(path, cookies).request)).await??;
    Ok(String::from_utf8_lossy(&client.buffer[client.head..]).into_owned())
}

/// What one visitor sends.
struct Visitor {
    path: String,
    cookies: Vec<String>,
    request: Vec<u8>,
}

impl Visitor {
    fn new(path: &str, presented: &str) -> Self {
        let path = path.to_owned();
        let (cookies, request) = (Vec::new(), format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n").into());
        let mut visitor = Self { path, cookies, request };
        visitor.keep(
            presented
                .split("; ")
                .filter(|cookie| !cookie.is_empty())
                .map(str::to_owned),
        );
        visitor
    }

    fn keep(&mut self, set: impl IntoIterator<Item = String>) {
        for new in set {
            let name = new.split('=').next();
            match self.cookies.iter_mut().find(|old| old.split('=').next() == name) {
                Some(old) if *old == new => continue,
                Some(old) => *old = new,
                None => self.cookies.push(new),
            }
            let (path, cookies) = (&self.path, self.cookies.join("; "));
            self.request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\ncookie: {cookies}\r\n\r\n").into();
        }
    }
}

struct Client {
    stream: TcpStream,
    /// The last answer.
    buffer: Vec<u8>,
    /// Where its body begins.
    head: usize,
}

impl Client {
    async fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(4096),
            head: 0,
        })
    }

    /// `name=value` of each cookie that the answer sets.
    async fn ask(&mut self, request: &[u8]) -> io::Result<Vec<String>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut headers = [httparse::EMPTY_HEADER; 16];
            let mut answer = httparse::Response::new(&mut headers);
            let httparse::Status::Complete(head) = answer.parse(&self.buffer).map_err(io::Error::other)? else {
                continue;
            };
            if answer.code != Some(200) {
                return Err(io::Error::other(format!("answered {:?}", answer.code)));
            }
            let (mut len, mut set) = (0, Vec::new());
            for header in answer.headers.iter() {
                let value = || std::str::from_utf8(header.value).unwrap_or_default();
                if header.name.eq_ignore_ascii_case("content-length") {
                    len = value().parse().unwrap_or(0);
                } else if header.name.eq_ignore_ascii_case("set-cookie") {
                    set.push(value().split(';').next().unwrap_or_default().to_owned());
                }
            }
            if self.buffer.len() >= head + len {
                self.head = head;
                return Ok(set);
            }
        }
    }
}
