//! Counters and histograms through the `metrics` facade; nothing without the feature `metrics`. They are listed in
//! `recipes/metrics.md`.

#[cfg(feature = "metrics")]
mod facade {
    use std::time::Duration;

    use metrics::Unit;

    /// Tells the recorder what each metric is, and its unit.
    pub(crate) fn describe() {
        metrics::describe_histogram!(
            "session_load_seconds",
            Unit::Seconds,
            "How long it took to load a session"
        );
        metrics::describe_histogram!(
            "session_commit_seconds",
            Unit::Seconds,
            "How long it took to commit a session"
        );
        metrics::describe_gauge!(
            "session_pending_invalidations",
            Unit::Count,
            "Sessions whose old value has yet to be removed from a cache that could not be reached"
        );
        metrics::describe_counter!(
            "session_items_not_authentic_total",
            Unit::Count,
            "Items in the cache that no key of the ring has signed, and that were removed"
        );
        metrics::describe_counter!(
            "session_old_key_uses_total",
            Unit::Count,
            "Tokens and values that an older key than the newest has signed"
        );
    }

    /// `tier` is the one that answered.
    pub(crate) fn record_load(
        session: &'static str,
        tier: Option<&'static str>,
        outcome: &'static str,
        took: Duration,
    ) {
        let tier = tier.unwrap_or("none");
        metrics::histogram!("session_load_seconds", "session" => session, "tier" => tier, "outcome" => outcome)
            .record(took);
    }

    pub(crate) fn record_commit(session: &'static str, outcome: &'static str, took: Duration) {
        metrics::histogram!("session_commit_seconds", "session" => session, "outcome" => outcome).record(took);
    }

    pub(crate) fn set_pending_invalidations(pending: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and this one is small")]
        metrics::gauge!("session_pending_invalidations").set(pending as f64);
    }

    pub(crate) fn count_not_authentic() {
        metrics::counter!("session_items_not_authentic_total").increment(1);
    }

    pub(crate) fn count_old_key(usage: &'static str) {
        metrics::counter!("session_old_key_uses_total", "use" => usage).increment(1);
    }
}

#[cfg(not(feature = "metrics"))]
mod facade {
    use std::time::Duration;

    pub(crate) fn describe() {}
    pub(crate) fn record_load(_: &'static str, _: Option<&'static str>, _: &'static str, _: Duration) {}
    pub(crate) fn record_commit(_: &'static str, _: &'static str, _: Duration) {}
    pub(crate) fn set_pending_invalidations(_: usize) {}
    pub(crate) fn count_not_authentic() {}
    pub(crate) fn count_old_key(_: &'static str) {}
}

pub(crate) use facade::{
    count_not_authentic, count_old_key, describe, record_commit, record_load, set_pending_invalidations,
};
