//! What is measured of one stack.

use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::Serialize;

use crate::load::{self, Ran, Until, Visitors};
use crate::process::Process;
use crate::proxy;
use crate::stacks::Stack;

/// How many sessions the connections go through.
const SESSIONS: usize = 64;
/// For allocations and round trips; the same in every run.
const COUNTED: usize = 500;
/// For the memory of an idle session.
const IDLE: usize = 10_000;

/// The loads of many sessions: each request reads or writes another one.
pub(crate) const MANY: [&str; 4] = ["none", "new", "read", "write"];

#[derive(Clone, Serialize)]
pub(crate) struct Cell {
    pub(crate) stack: &'static str,
    pub(crate) load: String,
    pub(crate) connections: usize,
    pub(crate) round: usize,
    /// CPU time of the server a request, that of the services it asks not included.
    pub(crate) cpu_micros: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_millis: f64,
    pub(crate) p99_millis: f64,
    /// Of `visits += 1` that were answered with success: how many are not there, and of how many.
    pub(crate) lost: Option<(u64, u64)>,
}

/// What is the same in each round.
#[derive(Clone, Serialize)]
pub(crate) struct Counts {
    pub(crate) stack: &'static str,
    /// By load, as in [`MANY`].
    pub(crate) allocations: [f64; 4],
    pub(crate) round_trips: Option<[f64; 4]>,
    pub(crate) session_bytes: Option<f64>,
}

fn path(load: &str) -> &'static str {
    match load {
        "none" => "/none",
        "new" => "/seed",
        "read" => "/read",
        _ => "/write",
    }
}

/// All cells of a stack, in a fresh server.
pub(crate) async fn cells(
    stack: &'static Stack,
    connections: &[usize],
    round: usize,
    time: Duration,
) -> io::Result<Vec<Cell>> {
    let service = stack.service.start().await?;
    let folder = tempfile::tempdir()?;
    let port = service.as_ref().map_or(0, |service| service.port);
    let server = Process::server(stack.name, port, folder.path(), false).await?;
    let sessions = load::seed(server.port, "/seed", SESSIONS).await?;
    let mut cells = Vec::new();
    let cell = async |name: &str, load: &'static str, connections: usize, sessions: &[String]| {
        let (cpu_micros, mut ran) = timed(&server, path(load), connections, sessions, time).await?;
        let (stack, load, lost) = (stack.name, name.to_owned(), None);
        let requests_per_second = rounded(ran.requests as f64 / ran.elapsed.as_secs_f64());
        let (p50_millis, p99_millis) = (rounded(ran.percentile_millis(50)), rounded(ran.percentile_millis(99)));
        io::Result::Ok(Cell {
            stack,
            load,
            connections,
            round,
            cpu_micros,
            requests_per_second,
            p50_millis,
            p99_millis,
            lost,
        })
    };
    for &connections in connections {
        for load in ["none", "read", "write"] {
            cells.push(cell(load, load, connections, &sessions).await?);
        }
        if connections > 1 && stack.has_sessions {
            let one = load::seed(server.port, "/seed", 1).await?;
            cells.push(cell("read, one session", "read", connections, &one).await?);
            let mut write = cell("write, one session", "write", connections, &one).await?;
            write.lost = Some(lost(server.port, connections, time).await?);
            cells.push(write);
        }
    }
    // Last, since it leaves many sessions behind.
    for &connections in connections {
        cells.push(cell("new", "new", connections, &[]).await?);
    }
    Ok(cells)
}

/// CPU time a request, in microseconds, after a while that is not measured: connections, caches and allocator warm up.
pub(crate) async fn timed(
    server: &Process,
    path: &str,
    connections: usize,
    sessions: &[String],
    time: Duration,
) -> io::Result<(f64, Ran)> {
    let visitors = Visitors::of(sessions);
    let warm = Until::Time((time / 5).min(Duration::from_millis(300)));
    load::run(server.port, path, connections, visitors, warm).await?;
    let before = server.usage().await?;
    let ran = load::run(server.port, path, connections, visitors, Until::Time(time)).await?;
    let nanos = server.usage().await?.cpu_nanos - before.cpu_nanos;
    Ok((rounded(nanos as f64 / 1e3 / ran.requests.max(1) as f64), ran))
}

fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

async fn lost(port: u16, connections: usize, time: Duration) -> io::Result<(u64, u64)> {
    let one = load::seed(port, "/seed", 1).await?;
    let until = Until::Time(time.min(Duration::from_secs(1)));
    let ran = load::run(port, "/write", connections, Visitors::Of(&one), until).await?;
    let done = ran.requests as u64;
    let visits = load::body(port, "/read", &one[0]).await?;
    let there: u64 = visits.parse().map_err(io::Error::other)?;
    Ok((done.saturating_sub(there), done))
}

/// Allocations and round trips a request over one connection, and the memory of an idle session, in a server of its own.
pub(crate) async fn counts(stack: &'static Stack) -> io::Result<Counts> {
    let service = stack.service.start().await?;
    let (port, trips) = match &service {
        Some(service) => proxy::start(service.port).await?,
        None => (0, Default::default()),
    };
    let folder = tempfile::tempdir()?;
    let server = Process::server(stack.name, port, folder.path(), true).await?;
    let sessions = load::seed(server.port, "/seed", 1).await?;
    let (mut allocations, mut round_trips) = ([0.0; 4], [0.0; 4]);
    for (at, name) in MANY.into_iter().enumerate() {
        let visitors = Visitors::of(if name == "new" { &[] } else { &sessions });
        let ask = |count| load::run(server.port, path(name), 1, visitors, Until::Count(count));
        let used = async || io::Result::Ok((server.usage().await?.allocations, trips.load(Relaxed)));
        ask(COUNTED / 5).await?;
        let before = used().await?;
        ask(COUNTED).await?;
        let after = used().await?;
        allocations[at] = (after.0 - before.0) as f64 / COUNTED as f64;
        round_trips[at] = (after.1 - before.1) as f64 / COUNTED as f64;
    }
    let before = server.usage().await?.resident;
    load::seed(server.port, "/seed", IDLE).await?;
    let grown = server.usage().await?.resident.saturating_sub(before);
    Ok(Counts {
        stack: stack.name,
        allocations,
        round_trips: service.is_some().then_some(round_trips),
        session_bytes: stack.has_sessions.then_some(grown as f64 / IDLE as f64),
    })
}
