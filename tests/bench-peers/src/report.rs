//! Medians with their spread, as tables and as JSON.

use std::fmt::Write;
use std::io;
use std::path::Path;

use serde::Serialize;

use crate::chart;
use crate::measure::{Cell, Counts, MANY};
use crate::stacks::{ALL, Stack};

#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) rounds: usize,
    pub(crate) seconds_per_cell: f64,
    pub(crate) connections: Vec<usize>,
    /// Stacks that are not in it, or not with every round, and why.
    pub(crate) skipped: Vec<String>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) counts: Vec<Counts>,
}

/// When and where, and how busy it was before.
pub(crate) fn machine() -> String {
    let date = tower_sessions::cookie::time::OffsetDateTime::now_utc().date();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load
        .split(' ')
        .next()
        .map_or(0.0, |word| word.parse().unwrap_or_default());
    let busy = if load > 2.0 { "**on a busy machine**: " } else { "" };
    format!("{date}, {cores} cores, {busy}load average {load} before the run")
}

pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

pub(crate) fn spread(values: impl Iterator<Item = f64>) -> Option<Spread> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let (min, max) = (*values.first()?, *values.last()?);
    Some(Spread {
        median: values[values.len() / 2],
        min,
        max,
    })
}

impl Report {
    pub(crate) fn stacks(&self) -> impl Iterator<Item = &'static Stack> {
        ALL.iter()
            .filter(|stack| self.cells.iter().any(|cell| cell.stack == stack.name))
    }

    /// The number of connections of the first table and of the chart: the middle one.
    pub(crate) fn usual(&self) -> usize {
        self.connections
            .get(self.connections.len() / 2)
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn spread(
        &self,
        stack: &Stack,
        load: &str,
        connections: usize,
        value: fn(&Cell) -> f64,
    ) -> Option<Spread> {
        let is_it = |cell: &&Cell| cell.stack == stack.name && cell.load == load && cell.connections == connections;
        spread(self.cells.iter().filter(is_it).map(value))
    }

    pub(crate) fn markdown(&self) -> String {
        let (machine, rounds, seconds) = (&self.machine, self.rounds, self.seconds_per_cell);
        let mut text = format!(
            "{machine}; {rounds} interleaved rounds, {seconds} s a figure, one worker thread, 64 sessions.\n\n"
        );
        self.cpu(&mut text);
        self.speed(&mut text);
        self.counted(&mut text);
        for skipped in &self.skipped {
            _ = writeln!(text, "- {skipped}");
        }
        text
    }

    /// One row a stack.
    fn rows(&self, text: &mut String, cells: impl Fn(&Stack) -> Vec<String>) {
        for stack in self.stacks() {
            _ = writeln!(text, "| {} | {} |", stack.title, cells(stack).join(" | "));
        }
        text.push('\n');
    }

    fn cpu(&self, text: &mut String) {
        let connections = self.usual();
        _ = writeln!(
            text,
            "Server CPU a request in µs over {connections} connections, median (least to most):\n"
        );
        text.push_str("| stack | no session | new | read | write | read, one session | write, one session |\n");
        text.push_str("|---|---|---|---|---|---|---|\n");
        let loads = [&MANY[..], &["read, one session", "write, one session"]].concat();
        self.rows(text, |stack| {
            let cell = |load: &&str| match self.spread(stack, load, connections, |cell| cell.cpu_micros) {
                Some(Spread { median, min, max }) => format!("{median:.1} ({min:.1}–{max:.1})"),
                None => "–".to_owned(),
            };
            loads.iter().map(cell).collect()
        });
    }

    fn speed(&self, text: &mut String) {
        let columns = ["read", "write"]
            .into_iter()
            .flat_map(|load| self.connections.iter().map(move |n| (load, *n)));
        let columns: Vec<_> = columns.collect();
        let heads: Vec<_> = columns.iter().map(|(load, n)| format!("{load}, {n}")).collect();
        text.push_str("Requests a second, p50 / p99 in ms, by load and connections, medians:\n\n");
        _ = writeln!(
            text,
            "| stack | {} |\n|---{}|",
            heads.join(" | "),
            "|---".repeat(heads.len())
        );
        self.rows(text, |stack| {
            let cell = |&(load, n): &(&str, usize)| {
                let median = |value| self.spread(stack, load, n, value).map(|it| it.median);
                match (
                    median(|cell| cell.requests_per_second),
                    median(|cell| cell.p50_millis),
                    median(|cell| cell.p99_millis),
                ) {
                    (Some(speed), Some(p50), Some(p99)) => format!("{speed:.0}/s, {p50:.2} / {p99:.2}"),
                    _ => "–".to_owned(),
                }
            };
            columns.iter().map(cell).collect()
        });
    }

    fn counted(&self, text: &mut String) {
        let heads = MANY.join(" / ");
        _ = writeln!(
            text,
            "Counted ({heads}); an idle session is what 10,000 grow the server's memory by, divided:\n"
        );
        let more: Vec<_> = self.connections.iter().filter(|n| **n > 1).collect();
        let lost: String = more.iter().map(|n| format!(" lost `visits += 1`, {n} |")).collect();
        _ = writeln!(text, "| stack | round trips | allocations | an idle session |{lost}");
        _ = writeln!(text, "|---|---|---|---|{}", "---|".repeat(more.len()));
        self.rows(text, |stack| {
            let four = |values: [f64; 4], digits: usize| values.map(|it| format!("{it:.digits$}")).join(" / ");
            let found = self.counts.iter().find(|counts| counts.stack == stack.name);
            let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
            let mut cells = vec![
                or_none(found.and_then(|counts| Some(four(counts.round_trips?, 1)))),
                or_none(found.map(|counts| four(counts.allocations, 0))),
                or_none(found.and_then(|counts| Some(format!("{:.0} bytes", counts.session_bytes?)))),
            ];
            for connections in &more {
                let of_stack = self.cells.iter().filter(|cell| cell.stack == stack.name);
                let all = of_stack
                    .filter(|cell| cell.connections == **connections)
                    .filter_map(|cell| cell.lost);
                let (lost, done) = all.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
                let percent = 100.0 * lost as f64 / done as f64;
                cells.push(or_none((done > 0).then(|| format!("{percent:.1} % of {done}"))));
            }
            cells
        });
    }

    pub(crate) fn store(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("results.json"), serde_json::to_vec(self)?)?;
        std::fs::write(folder.join("results.md"), self.markdown())?;
        std::fs::write(folder.join("chart.svg"), chart::svg(self))
    }
}
