//! Compares a server on this project with servers on its peers. `main` measures, and starts itself again as the server of
//! each stack.

mod alloc;
mod cart;
mod chart;
mod growth;
mod load;
mod measure;
mod process;
mod proxy;
mod raw;
mod report;
mod stacks;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use process::Service;
use report::Report;
use stacks::Stack;

const HELP: &str = "\
cargo run --release [growth] [OPTIONS]
  growth          cost against sessions, connections, record size and fields, in place of the comparison
  --quick         one short round; nothing is stored
  --rounds N      how often each stack is measured (3)
  --seconds S     how long each figure is measured (2)
  --stacks A,B    these alone; nothing is stored
  --out FOLDER    where the results go (results, beside Cargo.toml)";

struct Options {
    is_growth: bool,
    is_quick: bool,
    rounds: usize,
    seconds: f64,
    connections: &'static [usize],
    stacks: Vec<&'static Stack>,
    out: Option<PathBuf>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let out = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("results"));
        let all = stacks::ALL.iter().collect();
        let mut options = Self {
            is_growth: false,
            is_quick: false,
            rounds: 3,
            seconds: 2.0,
            connections: &[1, 16, 64],
            stacks: all,
            out,
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "growth" => options.is_growth = true,
                "--quick" => {
                    (options.is_quick, options.rounds, options.seconds) = (true, 1, 0.4);
                    (options.connections, options.out) = (&[16], None);
                }
                "--rounds" => options.rounds = arguments.next()?.parse().ok()?,
                "--seconds" => {
                    let seconds = arguments.next()?.parse().ok();
                    options.seconds = seconds.filter(|seconds| (0.01..3600.0).contains(seconds))?;
                }
                "--stacks" => {
                    let names = arguments.next()?;
                    let find = |name| stacks::ALL.iter().find(|stack| stack.name == name);
                    options.stacks = names.split(',').map(find).collect::<Option<_>>()?;
                    options.out = None;
                }
                "--out" => options.out = Some(arguments.next()?.into()),
                _ => return None,
            }
        }
        Some(options)
    }
}

fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [mode, stack, port, service, folder, counts @ ..] = &arguments[..]
        && mode == "serve"
    {
        let port = port.parse().map_err(io::Error::other)?;
        return stacks::serve(stack, port, service, Path::new(folder), !counts.is_empty());
    }
    let Some(options) = Options::parse(arguments.into_iter()) else {
        let names: Vec<_> = stacks::ALL.iter().map(|stack| stack.name).collect();
        println!("{HELP}\n\nstacks: {}", names.join(", "));
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let time = Duration::from_secs_f64(options.seconds);
        if options.is_growth {
            return growth::run(time, options.is_quick, options.out.as_deref()).await;
        }
        let report = compare(&options, time).await;
        print!("{}", report.markdown());
        options.out.as_deref().map_or(Ok(()), |folder| report.store(folder))
    })
}

async fn compare(options: &Options, time: Duration) -> Report {
    let mut report = Report {
        machine: report::machine(),
        rounds: options.rounds,
        seconds_per_cell: options.seconds,
        connections: options.connections.to_vec(),
        skipped: Vec::new(),
        cells: Vec::new(),
        counts: Vec::new(),
    };
    let mut stacks = options.stacks.clone();
    for round in 0..=options.rounds {
        // The last time round is for what needs no repetition.
        let is_counting = round == options.rounds;
        for stack in std::mem::take(&mut stacks) {
            eprintln!("round {} of {}: {}", round + 1, options.rounds + 1, stack.title);
            let done = if is_counting {
                measure::counts(stack).await.map(|counts| report.counts.push(counts))
            } else {
                let cells = measure::cells(stack, options.connections, round, time).await;
                cells.map(|cells| report.cells.extend(cells))
            };
            // What is not installed is not tried again; what has failed once is.
            if !matches!(&done, Err(error) if is_missing(stack, error)) {
                stacks.push(stack);
            }
            if let Err(error) = done {
                report.skipped.push(reason(stack, round, &error));
            }
        }
    }
    report
}

fn is_missing(stack: &Stack, error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound && stack.service != Service::None
}

fn reason(stack: &Stack, round: usize, error: &io::Error) -> String {
    let reason = if is_missing(stack, error) {
        format!("skipped, needs {} (apt-get install)", stack.service.package())
    } else {
        format!("failed in round {}: {error}", round + 1)
    };
    format!("{}: {reason}", stack.title)
}
