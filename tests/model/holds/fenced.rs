//! Every writer fences: no load sees less than an earlier one did, as long as every fence stays.

use super::super::Setting;
use super::super::record::Role::{Add, Create, Destroy, Read, Rotate};
use super::super::state::Faults;
use super::{NONE, ONE_DURABLE_TIMEOUT, bound, holds, monotonic, roles};

#[test]
fn with_writers_and_readers() {
    let roles = roles(&[Add, Add, Read(1), Read(1)], &[Add, Add, Add, Read(1)]);
    holds("writers and readers", monotonic(roles, NONE));
}

#[test]
fn with_writers_that_crash() {
    let roles = roles(&[Add, Add, Read(1)], &[Add, Add, Read(1), Read(1)]);
    let faults = Faults { crashes: 1, ..NONE };
    holds("writers that crash", monotonic(roles, faults));
}

#[test]
fn with_a_cache_that_evicts_anything_but_fences() {
    let roles = roles(&[Add, Read(1), Read(1)], &[Add, Add, Read(1), Read(1)]);
    let faults = Faults {
        evictions_but_fences: 1,
        stale_hits: 1,
        ..NONE
    };
    holds("a cache that evicts anything but fences", monotonic(roles, faults));
}

#[test]
fn with_a_durable_tier_that_times_out() {
    let roles = roles(&[Add, Add, Read(1)], &[Add, Add, Read(2)]);
    let faults = Faults {
        durable_timeouts: bound(1, 2),
        ..NONE
    };
    holds("a durable tier that times out", monotonic(roles, faults));
}

#[test]
fn with_a_durable_tier_that_is_down() {
    let roles = roles(&[Add, Add, Read(2)], &[Add, Add, Read(1), Read(1)]);
    let faults = Faults { outages: 1, ..NONE };
    holds("a durable tier that is down", monotonic(roles, faults));
}

#[test]
fn with_a_durable_tier_that_times_out_and_is_down() {
    let roles = roles(&[Add, Read(2)], &[Add, Add, Read(2)]);
    let faults = Faults {
        durable_timeouts: 1,
        outages: 1,
        ..NONE
    };
    holds("a durable tier that times out and is down", monotonic(roles, faults));
}

#[test]
fn with_a_destroy() {
    let roles = roles(&[Destroy, Add, Read(1)], &[Destroy, Add, Read(1), Read(1)]);
    holds("a destroy", monotonic(roles, ONE_DURABLE_TIMEOUT));
}

#[test]
fn with_a_rotation() {
    let roles = roles(&[Rotate, Add], &[Rotate, Rotate, Add]);
    holds("a rotation", monotonic(roles, ONE_DURABLE_TIMEOUT));
}

#[test]
fn with_a_rotation_and_a_destroy() {
    let roles = roles(&[Rotate, Destroy, Read(1)], &[Rotate, Rotate, Destroy, Read(1)]);
    holds("a rotation and a destroy", monotonic(roles, NONE));
}

#[test]
fn with_a_writer_that_outlives_its_fence() {
    let roles = roles(&[Add, Add, Read(1)], &[Add, Add, Destroy]);
    let faults = Faults {
        slow_writers: 1,
        ..NONE
    };
    holds("a writer that outlives its fence", monotonic(roles, faults));
}

#[test]
fn with_a_session_that_is_created_and_destroyed() {
    let roles = roles(&[Create, Destroy, Read(1)], &[Create, Destroy, Add, Read(1)]);
    let faults = Faults {
        durable_timeouts: 2,
        crashes: bound(0, 1),
        ..NONE
    };
    holds("a session that is created and destroyed", monotonic(roles, faults));
}

#[test]
fn with_a_record_that_keeps_one_nonce() {
    let setting = Setting {
        kept_nonces: Some(1),
        ..monotonic(vec![Add, Add], ONE_DURABLE_TIMEOUT)
    };
    holds("a record that keeps one nonce", setting);
}

#[test]
fn with_records_too_large_for_the_cache() {
    let setting = Setting {
        large: true,
        ..monotonic(vec![Add, Add, Read(1)], NONE)
    };
    holds("records too large for the cache", setting);
}
