//! A simulation of what does not fit on one machine: many nodes, memcacheds that leave and come back, a Datastore that
//! stalls, and a hundred thousand requests a second. Time is simulated too, and a seed gives the same run each time.
//! `cargo run --release -p session-simulation` prints the table of ARCHITECTURE.md, and draws the chart.
//!
//! Production code: the state machines that every request runs, the metadata of records, the choice of a key's server.
//!
//! The production rules in code of their own, since their code does I/O: the queues of writers and what one of them writes
//! for others, the loads that readers share, renewals, invalidations that are tried again, memcached's breaker, and the
//! limits, timeouts and pauses of both tiers.
//!
//! Assumptions:
//! - A call of memcached takes 0.2 to 0.5 ms, one of Datastore 20 to 30 ms, each time in this range as likely as the other,
//!   however many there are. A record is written or read halfway.
//! - Datastore stores one record as often as it is asked to. Google advises once a second in the long run, and does not say
//!   what happens beyond.
//! - A write whose node has given up is applied all the same half of the time.
//! - Handlers, processors and the pools of connections to memcached cost nothing, and nothing is evicted.
//! - Requests come independently of each other, each to any node, and nobody repeats one that failed.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts and times are far from the limits, and are reported to two digits"
)]
#![allow(clippy::print_stdout, reason = "the table is printed")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on fails"))]

mod cache;
mod calendar;
mod chart;
mod check;
mod commit;
mod create;
mod durable;
mod figures;
mod load;
mod machine;
mod record;
mod report;
mod scenarios;
mod sessions;
mod setting;
mod simulation;
mod table;
mod task;
#[cfg(test)]
mod tests;
mod world;

use std::path::Path;
use std::time::Duration;

/// As the store's defaults.
const MAX_STALENESS: Duration = Duration::from_mins(5);
const RENEW_AFTER: Duration = Duration::from_mins(2);

fn main() -> anyhow::Result<()> {
    println!("{}", table::HEAD);
    let mut faults = Vec::new();
    for setting in scenarios::all() {
        let (report, violations) = simulation::run(&setting)?;
        println!("{}", table::row(&setting, &report));
        if report.violations > 0 {
            anyhow::bail!("{} promises were broken: {violations:#?}", report.violations);
        }
        if let Some(name) = setting.drawn {
            faults.push((name, report));
        }
    }
    let chart = chart::svg(&[figures::contended()?, figures::waits(&faults)])?;
    std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("chart.svg"), chart)?;
    Ok(())
}
