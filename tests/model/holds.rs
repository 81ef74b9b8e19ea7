//! Settings in which every property holds: roles, and the faults that may happen to them.

use super::record::Role::{self, Add, Create, Destroy, Read, Reject, Rotate, SignIn};
use super::state::Faults;
use super::{Setting, is_deep};

const NONE: Faults = Faults {
    evictions: 0,
    evictions_but_fences: 0,
    crashes: 0,
    durable_timeouts: 0,
    outages: 0,
    cache_timeouts: 0,
    slow_writers: 0,
    stale_hits: 0,
};

#[track_caller]
fn holds(name: &str, setting: Setting) {
    assert_eq!(setting.explore(name), Vec::<&str>::new());
}

/// The value for the usual bound, or the one for the deep bound.
fn bound<T>(usual: T, deep: T) -> T {
    if is_deep() { deep } else { usual }
}

fn roles(usual: &[Role], deep: &[Role]) -> Vec<Role> {
    bound(usual, deep).to_vec()
}

/// No load sees less than an earlier one did.
fn monotonic(roles: Vec<Role>, faults: Faults) -> Setting {
    Setting {
        monotonic: true,
        ..acknowledged(roles, faults)
    }
}

/// No load sees less than was acknowledged.
fn acknowledged(roles: Vec<Role>, faults: Faults) -> Setting {
    Setting {
        roles,
        faults,
        ..Setting::default()
    }
}

fn cache_only(roles: Vec<Role>, faults: Faults) -> Setting {
    Setting {
        cache_only: true,
        ..monotonic(roles, faults)
    }
}

#[test]
fn with_writers_and_readers() {
    let roles = roles(&[Add, Add, Read(1), Read(1)], &[Add, Add, Add, Read(1)]);
    holds("writers and readers", monotonic(roles, NONE));
}

#[test]
fn with_writers_that_crash() {
    let roles = roles(&[Add, Add, Read(1)], &[Add, Add, Read(1), Read(1)]);
    let faults = Faults {
        crashes: bound(1, 2),
        ..NONE
    };
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
    let faults = Faults {
        outages: 1,
        crashes: bound(0, 1),
        ..NONE
    };
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

const ONE_DURABLE_TIMEOUT: Faults = Faults {
    durable_timeouts: 1,
    ..NONE
};

#[test]
fn with_a_destroy() {
    let roles = roles(&[Destroy, Add, Read(1)], &[Destroy, Add, Read(1), Read(2)]);
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
fn with_a_writer_that_rejects() {
    let roles = roles(&[Reject, Add, Read(1)], &[Reject, Add, Read(2)]);
    holds("a writer that rejects", acknowledged(roles, ONE_DURABLE_TIMEOUT));
}

#[test]
fn with_a_sign_in() {
    let roles = roles(&[SignIn, Add, Read(1)], &[SignIn, Add, Destroy]);
    holds("a sign-in", acknowledged(roles, ONE_DURABLE_TIMEOUT));
}

/// A fence that its writer withdraws may have replaced another's. So a load may see less than an earlier one saw, yet no
/// less than was acknowledged.
#[test]
fn with_a_writer_that_rejects_among_others() {
    let roles = roles(&[Reject, Add, Add], &[Reject, Add, Add, Read(1)]);
    holds("a writer that rejects among others", acknowledged(roles, NONE));
}

#[test]
fn with_evictions_and_crashes() {
    let roles = roles(&[Destroy, Add, Read(1)], &[Destroy, Add, Read(2)]);
    let faults = Faults {
        evictions: bound(1, 2),
        crashes: 1,
        ..NONE
    };
    holds("evictions and crashes", acknowledged(roles, faults));
}

#[test]
fn with_evictions_while_the_durable_tier_is_down() {
    let roles = roles(&[Add, Read(2)], &[Add, Add, Read(1)]);
    let faults = Faults {
        evictions: 1,
        outages: 1,
        durable_timeouts: 1,
        ..NONE
    };
    holds("evictions while the durable tier is down", acknowledged(roles, faults));
}

#[test]
fn with_a_cache_that_times_out() {
    let faults = Faults {
        cache_timeouts: bound(1, 2),
        ..NONE
    };
    holds("a cache that times out", acknowledged(vec![Add, Add, Read(1)], faults));
}

#[test]
fn with_both_tiers_timing_out() {
    let roles = roles(&[Add, Read(1)], &[Add, Add, Read(1)]);
    let faults = Faults {
        cache_timeouts: 1,
        durable_timeouts: 1,
        ..NONE
    };
    holds("both tiers timing out", acknowledged(roles, faults));
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
fn with_a_writer_that_cannot_reach_the_cache() {
    let roles = roles(&[Add, Add, Read(1)], &[Add, Add, Destroy, Read(1)]);
    let setting = Setting {
        partitioned: Some(1),
        ..acknowledged(roles, NONE)
    };
    holds("a writer that cannot reach the cache", setting);
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
    let roles = roles(&[Add, Add], &[Add, Add, Add]);
    let setting = Setting {
        kept_nonces: Some(1),
        ..monotonic(roles, ONE_DURABLE_TIMEOUT)
    };
    holds("a record that keeps one nonce", setting);
}

#[test]
fn with_the_cache_only() {
    let roles = roles(&[Add, Add, Destroy, Read(1)], &[Add, Add, Destroy, Rotate, Read(1)]);
    let faults = Faults {
        cache_timeouts: 1,
        crashes: 1,
        ..NONE
    };
    holds("the cache only", cache_only(roles, faults));
}

#[test]
fn with_the_cache_only_and_evictions() {
    let roles = roles(&[Create, Add, Destroy], &[Create, Add, Add, Destroy]);
    let faults = Faults {
        cache_timeouts: 1,
        evictions: 1,
        ..NONE
    };
    holds("the cache only, and evictions", cache_only(roles, faults));
}

#[test]
fn with_records_too_large_for_the_cache() {
    let setting = Setting {
        large: true,
        ..monotonic(vec![Add, Add, Read(1)], NONE)
    };
    holds("records too large for the cache", setting);
}

#[test]
fn with_the_cache_only_and_records_too_large_for_it() {
    let faults = Faults {
        cache_timeouts: 1,
        ..NONE
    };
    let setting = Setting {
        large: true,
        ..cache_only(vec![Add, Destroy, Read(1)], faults)
    };
    holds("the cache only, and records too large for it", setting);
}
