//! What is measured.

use super::calendar::{MILLISECOND, Micros};
use super::setting::Setting;

/// What requests that come in the same tenth of a second wait is looked at together.
pub(crate) const WINDOW: Micros = 100 * MILLISECOND;
/// Each power of two has so many steps.
const STEPS: u32 = 16;

/// Times, with 1/16 of accuracy; a request that failed counts as the longest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    counts: Vec<u32>,
    failed: u32,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            counts: vec![0; (27 * STEPS) as usize],
            failed: 0,
        }
    }
}

impl Times {
    pub(crate) fn add(&mut self, time: Option<Micros>) {
        let Some(time) = time else {
            self.failed += 1;
            return;
        };
        let power = (time | u64::from(STEPS)).ilog2() - STEPS.ilog2();
        let place = u64::from(power * STEPS) + (time >> power);
        let place = usize::try_from(place).unwrap_or(usize::MAX).min(self.counts.len() - 1);
        self.counts[place] += 1;
    }

    /// The time that this share of them does not exceed; `None` where that is a failure, or there are none.
    pub(crate) fn quantile(&self, share: f64) -> Option<Micros> {
        let total = self.counts.iter().sum::<u32>() + self.failed;
        let mut left = (f64::from(total) * share).ceil() as u32;
        for (place, count) in self.counts.iter().enumerate() {
            if *count > 0 && *count >= left {
                let (power, step) = ((place as u64 / u64::from(STEPS)).saturating_sub(1), place as u64);
                return Some((step - power * u64::from(STEPS)) << power);
            }
            left = left.saturating_sub(*count);
        }
        None
    }
}

/// Counts of requests, of what they did, and what they waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    pub(crate) durable_calls: u64,
    pub(crate) loads: u64,
    pub(crate) hits: u64,
    /// Looks of loads into the cache.
    pub(crate) looks: u64,
    /// Looks that met a fence.
    pub(crate) fenced: u64,
    pub(crate) load_times: Times,
    pub(crate) commits: u64,
    pub(crate) commit_times: Times,
    pub(crate) contended: u64,
    pub(crate) unavailable: u64,
    pub(crate) unknown: u64,
    /// Commits that were acknowledged as degraded or unfenced.
    pub(crate) degraded: u64,
    /// Loads that saw less than one of those.
    pub(crate) stale: u64,
    /// Durable writes a second of the session that has the most.
    pub(crate) hottest: u64,
    /// What the requests of each window waited, in all.
    pub(crate) waits: Vec<Times>,
    pub(crate) violations: u64,
}

impl Report {
    /// A request that came then was answered after this wait, or has failed.
    pub(crate) fn request(&mut self, came: Micros, wait: Option<Micros>) {
        self.requests += 1;
        let window = (came / WINDOW) as usize;
        if self.waits.len() <= window {
            self.waits.resize_with(window + 1, Times::default);
        }
        self.waits[window].add(wait);
    }

    /// How long after the end of the fault the waits are as they were before it: at most twice as long for 99 of 100
    /// requests, from then on. `None` where they are not when the run ends.
    pub(crate) fn recovery(&self, setting: &Setting) -> Option<Micros> {
        let fault = setting.fault?;
        let (from, until) = ((fault.from / WINDOW) as usize, (fault.until / WINDOW) as usize);
        let windows = self.waits.get(..(setting.length / WINDOW) as usize)?;
        let p99 = |times: &Times| times.quantile(0.99);
        let usual = windows[1..from].iter().filter_map(p99).max()?;
        let is_usual = |times: &Times| p99(times).is_some_and(|wait| wait <= 2 * usual);
        let last_bad = windows.iter().rposition(|times| !is_usual(times));
        let good = last_bad.map_or(0, |last| last + 1).max(until);
        (good < windows.len()).then(|| (good - until) as Micros * WINDOW)
    }
}
