//! The two panels of the chart.

use session_runtime::tier::memcache::ConfigError;

use super::calendar::SECOND;
use super::chart::Panel;
use super::report::{Report, WINDOW};
use super::setting::Setting;
use super::{scenarios, simulation, table};

/// A request that failed is drawn as if it had waited for so long.
const FAILED: f64 = 10_000.0;

/// The share of the writes of one session that are contended, by the number of nodes; the mean of some seeds.
pub(crate) fn contended() -> Result<Panel, ConfigError> {
    const SEEDS: u64 = 3;
    let share = |nodes, rate| {
        let mut sum = 0.0;
        for seed in 1..=SEEDS {
            let (report, _) = simulation::run(&Setting {
                seed,
                ..scenarios::hot(nodes, rate)
            })?;
            sum += 100.0 * table::ratio(report.contended, report.commits);
        }
        Ok((f64::from(nodes), sum / SEEDS as f64))
    };
    let line = |rate| -> Result<Vec<_>, ConfigError> {
        let nodes = [1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50];
        nodes.into_iter().map(|nodes| share(nodes, rate)).collect()
    };
    Ok(Panel {
        title: "Writes of one session that are contended",
        x_label: "nodes",
        x_ticks: [0, 10, 20, 30, 40, 50]
            .map(|nodes| (f64::from(nodes), nodes.to_string()))
            .into(),
        y_ticks: [0, 5, 10, 15]
            .map(|share| (f64::from(share), format!("{share} %")))
            .into(),
        is_log: false,
        lines: vec![
            ("30 writes a second, and as many reads", line(30.0)?),
            ("100", line(100.0)?),
            ("1,000", line(1000.0)?),
        ],
    })
}

/// What requests wait in the runs with a fault, over time.
pub(crate) fn waits(faults: &[(&'static str, Report)]) -> Panel {
    let line = |report: &Report| {
        let waits = report.waits.iter().enumerate();
        let points = waits.map(|(window, times)| {
            let second = (window as u64 * WINDOW) as f64 / SECOND as f64;
            let wait = times.quantile(0.99).map_or(FAILED, |wait| wait as f64 / 1e3);
            (second, wait)
        });
        points.collect()
    };
    let y_ticks = [(10.0, "10 ms"), (100.0, "100 ms"), (1_000.0, "1 s"), (FAILED, "fails")];
    Panel {
        title: "p99 of the wait; a fault from 3 s to 13 s",
        x_label: "seconds",
        x_ticks: [0, 5, 10, 15, 20]
            .map(|second| (f64::from(second), second.to_string()))
            .into(),
        y_ticks: y_ticks.map(|(wait, label)| (wait, label.to_owned())).into(),
        is_log: true,
        lines: faults.iter().map(|(name, report)| (*name, line(report))).collect(),
    }
}
