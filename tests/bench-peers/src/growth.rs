//! What a request costs an embedded store as there are more sessions, connections, bytes and fields.

use std::fmt::Write;
use std::io;
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::extract::Path as UrlPath;
use axum::routing::get;
use session_runtime::{Builder, RouterExt, TypedSession, WithDatastore, WithMemcache};

use crate::cart::{Kept, fill};
use crate::load::{self, Until, Visitors};
use crate::measure::timed;
use crate::process::Process;
use crate::report::{machine, spread};

pub(crate) const STACK: &str = "growth";

const REPEATS: usize = 3;
/// For what does not ask about them.
const CONNECTIONS: usize = 16;
/// To make many sessions: as many as share a commit of the file.
const FILLING: usize = 256;
const SESSIONS: usize = 64;
/// Of each number of sessions: how many are read after the server was started again.
const SAMPLE: usize = 2_000;
/// Enough for the bytes that are tried here.
const MAX_LEN: usize = 1 << 20;

macro_rules! fields {
    ($type:ident, $name:tt, $($field:ident $set:ident)*) => {
        #[derive(session_runtime::Session)]
        #[session(name = $name, version = 1)]
        #[cascade(memcache, datastore)]
        pub(crate) struct $type {
            #[session(merge = add)]
            visits: u64,
            $($field: u64,)*
        }

        impl $type {
            fn routes() -> Router<session_runtime::CascadeStore> {
                Router::new()
                    .route(
                        "/seed",
                        get(async |mut session: TypedSession<Self>| {
                            $(session.$set(1_000_000);)*
                        }),
                    )
                    .route("/read", get(async |session: TypedSession<Self>| session.visits().to_string()))
                    .route("/write", get(async |mut session: TypedSession<Self>| *session.visits_mut() += 1))
            }
        }
    };
}

fields!(Two, "two", a set_a);
fields!(Ten, "ten", a set_a b set_b c set_c d set_d e set_e f set_f g set_g h set_h i set_i);
fields!(
    Forty, "forty",
    a set_a b set_b c set_c d set_d e set_e f set_f g set_g h set_h i set_i j set_j k set_k l set_l m set_m
    n set_n o set_o p set_p q set_q r set_r s set_s t set_t u set_u v set_v w set_w x set_x y set_y z set_z
    aa set_aa bb set_bb cc set_cc dd set_dd ee set_ee ff set_ff gg set_gg hh set_hh ii set_ii jj set_jj
    kk set_kk ll set_ll mm set_mm
);

pub(crate) async fn router(store: Builder<WithMemcache, WithDatastore>) -> Router {
    let seed = async |UrlPath(bytes): UrlPath<usize>, mut session: TypedSession<Kept>| {
        fill!(session);
        session.set_note("x".repeat(bytes));
    };
    let read = async |session: TypedSession<Kept>| session.visits().to_string();
    let write = async |mut session: TypedSession<Kept>| *session.visits_mut() += 1;
    Router::new()
        .nest("/two", Two::routes())
        .nest("/ten", Ten::routes())
        .nest("/forty", Forty::routes())
        .route("/seed/{bytes}", get(seed))
        .route("/read", get(read))
        .route("/write", get(write))
        .sessions(store.max_len(MAX_LEN).build().await.unwrap())
}

pub(crate) async fn run(time: Duration, is_quick: bool, out: Option<&Path>) -> io::Result<()> {
    let mut text = format!(
        "{}; medians of {REPEATS}; {CONNECTIONS} connections, {SESSIONS} of the sessions, the cart of ten fields, where nothing \
         else is said.\n\n| what grows | to | read, CPU µs | p99 ms | write, CPU µs | p99 ms | besides |\n|---|---|---|---|---|---|---|\n",
        machine()
    );
    let folder = tempfile::tempdir()?;
    let counts: &[_] = if is_quick {
        &[1_000, 10_000]
    } else {
        &[1_000, 10_000, 100_000, 1_000_000]
    };
    sessions(&mut text, folder.path(), counts, time).await?;

    let folder = tempfile::tempdir()?;
    let server = Process::server(STACK, 0, folder.path(), false).await?;
    for connections in [1, 4, 16, 64, 256] {
        let sessions = load::seed(server.port, "/seed/17", SESSIONS.max(connections)).await?;
        let cells = cells(&server, "", connections, &sessions, time).await?;
        _ = writeln!(text, "| connections | {connections} | {cells} | |");
    }
    for bytes in [17, 1_000, 4_000, 16_000, 64_000] {
        let sessions = load::seed(server.port, &format!("/seed/{bytes}"), SESSIONS).await?;
        let cells = cells(&server, "", CONNECTIONS, &sessions, time).await?;
        _ = writeln!(text, "| bytes of one field | {bytes} | {cells} | |");
    }
    for (path, count) in [("/two", 2), ("/ten", 10), ("/forty", 40)] {
        let sessions = load::seed(server.port, &format!("{path}/seed"), SESSIONS).await?;
        let cells = cells(&server, path, CONNECTIONS, &sessions, time).await?;
        _ = writeln!(text, "| number fields | {count} | {cells} | |");
    }
    println!("{text}");
    out.map_or(Ok(()), |folder| {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("growth.md"), text)
    })
}

async fn sessions(text: &mut String, folder: &Path, counts: &[usize], time: Duration) -> io::Result<()> {
    let mut server = Process::server(STACK, 0, folder, false).await?;
    let (mut stored, mut sample) = (0, Vec::new());
    for &count in counts {
        let (new, until) = (
            Visitors::New((count - stored).div_ceil(SAMPLE)),
            Until::Count(count - stored),
        );
        match load::run(server.port, "/seed/17", FILLING, new, until).await {
            Ok(ran) => sample.extend(ran.kept),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                _ = writeln!(text, "| stored sessions | {count} | not filled in time | | | | |");
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        stored = count;
        let cells = cells(&server, "", CONNECTIONS, &sample[..SESSIONS], time).await?;
        let file = std::fs::metadata(folder.join("s.redb"))?.len() / 1_000_000;

        drop(server);
        server = Process::server(STACK, 0, folder, false).await?;
        let before = server.usage().await?.cpu_nanos;
        let until = Until::Count(sample.len());
        let ran = load::run(server.port, "/read", CONNECTIONS, Visitors::Of(&sample), until).await?;
        let usage = server.usage().await?;
        let (first, start) = (
            (usage.cpu_nanos - before) as f64 / 1e3 / ran.requests as f64,
            server.start_time.as_secs_f64(),
        );
        _ = writeln!(
            text,
            "| stored sessions | {count} | {cells} | first reads after a kill {first:.1} µs, start {start:.1} s, \
             file {file} MB, memory {} MB |",
            usage.resident / 1_000_000
        );
    }
    Ok(())
}

/// CPU time and p99 of reads, and of writes.
async fn cells(
    server: &Process,
    path: &str,
    connections: usize,
    sessions: &[String],
    time: Duration,
) -> io::Result<String> {
    let mut cells = Vec::new();
    for load in ["read", "write"] {
        let path = format!("{path}/{load}");
        let (mut cpu, mut p99) = (Vec::new(), Vec::new());
        for _ in 0..REPEATS {
            let (micros, mut ran) = timed(server, &path, connections, sessions, time).await?;
            cpu.push(micros);
            p99.push(ran.percentile_millis(99));
        }
        let median = |values: Vec<f64>| spread(values.into_iter()).map_or(0.0, |it| it.median);
        cells.push(format!("{:.1} | {:.2}", median(cpu), median(p99)));
    }
    Ok(cells.join(" | "))
}
