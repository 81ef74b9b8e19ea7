//! An ordinary change after a load that hit has no fence: no load sees less than was acknowledged.

use super::super::Setting;
use super::super::record::Role::{Add, Create, Destroy, Read, Reject, Rotate, SignIn};
use super::super::state::Faults;
use super::{NONE, ONE_DURABLE_TIMEOUT, acknowledged, bound, holds, roles};

#[test]
fn with_writers_and_readers() {
    let roles = roles(&[Add, Add, Read(1), Read(1)], &[Add, Add, Add, Read(1)]);
    holds("unfenced: writers and readers", acknowledged(roles, NONE));
}

#[test]
fn with_a_rotation() {
    let roles = roles(&[Rotate, Add, Read(1)], &[Rotate, Add, Add, Read(1)]);
    holds("unfenced: a rotation", acknowledged(roles, NONE));
}

#[test]
fn with_a_sign_in() {
    let roles = roles(&[SignIn, Add, Read(1)], &[SignIn, Add, Destroy]);
    holds("unfenced: a sign-in", acknowledged(roles, ONE_DURABLE_TIMEOUT));
}

#[test]
fn with_a_writer_that_rejects() {
    let roles = roles(&[Reject, Add, Read(1)], &[Reject, Add, Add, Read(1)]);
    holds("unfenced: a writer that rejects", acknowledged(roles, NONE));
}

#[test]
fn with_evictions_and_crashes() {
    let faults = Faults {
        evictions: 1,
        crashes: bound(0, 1),
        ..NONE
    };
    holds(
        "unfenced: evictions and crashes",
        acknowledged(vec![Rotate, Add, Read(1)], faults),
    );
}

#[test]
fn with_a_destroy_evictions_and_crashes() {
    let roles = roles(&[Destroy, Add, Read(1)], &[Destroy, Add, Read(2)]);
    let faults = Faults {
        evictions: bound(0, 1),
        crashes: 1,
        ..NONE
    };
    holds(
        "unfenced: a destroy, evictions and crashes",
        acknowledged(roles, faults),
    );
}

#[test]
fn with_values_that_are_too_old() {
    let roles = roles(&[Add, Read(1), Read(1)], &[Add, Add, Read(1), Read(1)]);
    let faults = Faults {
        stale_hits: 1,
        evictions: bound(1, 0),
        ..NONE
    };
    holds("unfenced: values that are too old", acknowledged(roles, faults));
}

#[test]
fn with_a_durable_tier_that_times_out() {
    let roles = roles(&[Add, Add, Read(1)], &[Rotate, Add, Read(2)]);
    let faults = Faults {
        durable_timeouts: bound(1, 2),
        ..NONE
    };
    holds("unfenced: a durable tier that times out", acknowledged(roles, faults));
}

#[test]
fn with_a_durable_tier_that_is_down() {
    let faults = Faults {
        outages: 1,
        evictions: bound(1, 0),
        durable_timeouts: bound(0, 1),
        ..NONE
    };
    holds(
        "unfenced: a durable tier that is down",
        acknowledged(vec![Rotate, Add, Read(1)], faults),
    );
}

#[test]
fn with_a_cache_that_times_out() {
    let faults = Faults {
        cache_timeouts: bound(1, 2),
        ..NONE
    };
    holds(
        "unfenced: a cache that times out",
        acknowledged(vec![Rotate, Add, Read(1)], faults),
    );
}

#[test]
fn with_both_tiers_timing_out() {
    let roles = roles(&[Add, Read(1)], &[Add, Add, Read(1)]);
    let faults = Faults {
        cache_timeouts: 1,
        durable_timeouts: 1,
        ..NONE
    };
    holds("unfenced: both tiers timing out", acknowledged(roles, faults));
}

#[test]
fn with_a_session_that_is_created() {
    let roles = roles(&[Create, Add, Read(1)], &[Create, Rotate, Add, Read(1)]);
    let faults = Faults {
        cache_timeouts: 1,
        evictions: 1,
        durable_timeouts: bound(1, 0),
        ..NONE
    };
    holds("unfenced: a session that is created", acknowledged(roles, faults));
}

#[test]
fn with_a_writer_that_cannot_reach_the_cache() {
    let roles = roles(&[Add, Add, Read(1)], &[Add, Destroy, Read(2)]);
    let faults = Faults { hours: 1, ..NONE };
    let setting = Setting {
        partitioned: Some(1),
        ..acknowledged(roles, faults)
    };
    holds("unfenced: a writer that cannot reach the cache", setting);
}

#[test]
fn with_records_too_large_for_the_cache() {
    let setting = Setting {
        large: true,
        ..acknowledged(vec![Add, Add, Read(1)], NONE)
    };
    holds("unfenced: records too large for the cache", setting);
}

#[test]
fn with_a_commit_whose_time_runs_out() {
    let roles = roles(&[Add, Add, Read(1)], &[Add, Rotate, Read(1)]);
    let faults = Faults {
        cuts: 1,
        cache_timeouts: bound(0, 1),
        ..NONE
    };
    holds("unfenced: a commit whose time runs out", acknowledged(roles, faults));
}

#[test]
fn with_a_destroy_whose_time_runs_out() {
    let faults = Faults {
        cuts: bound(1, 2),
        ..NONE
    };
    holds(
        "unfenced: a destroy whose time runs out",
        acknowledged(vec![Destroy, Add, Read(1)], faults),
    );
}

#[test]
fn with_a_repair_that_is_given_up() {
    let roles = roles(&[Add, Read(1), Read(1)], &[Add, Add, Read(1)]);
    let faults = Faults {
        cache_timeouts: 1,
        hours: 1,
        ..NONE
    };
    holds("unfenced: a repair that is given up", acknowledged(roles, faults));
}
