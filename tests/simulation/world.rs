//! What everything in the simulation needs: what is simulated, when it is, and chance.

use super::calendar::Calendar;
use super::setting::Setting;

pub(crate) struct World {
    pub(crate) setting: Setting,
    pub(crate) calendar: Calendar,
    pub(crate) rng: fastrand::Rng,
}

impl World {
    pub(crate) fn new(setting: &Setting) -> Self {
        Self {
            setting: setting.clone(),
            calendar: Calendar::default(),
            rng: fastrand::Rng::with_seed(setting.seed),
        }
    }

    /// The time until the next of so many a second, which come independently of each other.
    pub(crate) fn until_next(&mut self, per_second: f64) -> f64 {
        -self.rng.f64().max(f64::MIN_POSITIVE).ln() * 1e6 / per_second
    }
}
