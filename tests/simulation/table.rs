//! The table of the runs, in Markdown.

use super::calendar::{Micros, SECOND};
use super::report::{Report, Times};
use super::setting::Setting;

pub(crate) const HEAD: &str = "\
| what is simulated | durable calls a request | cache hits | looks that met a fence | p99 of a load | p99 of a commit \
| contended | failed | stale loads | busiest session, writes a second | recovery |
|---|---|---|---|---|---|---|---|---|---|---|";

pub(crate) fn row(setting: &Setting, report: &Report) -> String {
    let cells = [
        setting.name.clone(),
        format!("{:.2}", ratio(report.durable_calls, report.requests)),
        percent(report.hits, report.loads),
        percent(report.fenced, report.looks),
        p99(&report.load_times),
        p99(&report.commit_times),
        percent(report.contended, report.commits),
        percent(report.unavailable + report.unknown, report.requests),
        percent(report.stale, report.loads),
        report.hottest.to_string(),
        match (setting.fault, report.recovery(setting)) {
            (None, _) => "–".to_owned(),
            (Some(_), Some(0)) => "at once".to_owned(),
            (Some(_), Some(time)) => format!("{:.1} s", time as f64 / SECOND as f64),
            (Some(_), None) => "not in time".to_owned(),
        },
    ];
    format!("| {} |", cells.join(" | "))
}

pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// A share, to two digits.
fn percent(part: u64, whole: u64) -> String {
    let share = 100.0 * ratio(part, whole);
    match share {
        _ if part == 0 => "0".to_owned(),
        0.0..0.01 => "< 0.01 %".to_owned(),
        1.0..99.0 => format!("{share:.1} %"),
        _ => format!("{share:.2} %"),
    }
}

fn p99(times: &Times) -> String {
    times.quantile(0.99).map_or_else(|| "> 1 % fail".to_owned(), time)
}

fn time(micros: Micros) -> String {
    match micros {
        0..10_000 => format!("{:.1} ms", micros as f64 / 1e3),
        10_000..SECOND => format!("{} ms", micros / 1_000),
        _ => format!("{:.1} s", micros as f64 / 1e6),
    }
}
