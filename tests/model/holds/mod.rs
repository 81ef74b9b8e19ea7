//! Settings in which every property holds: roles, and the faults that may happen to them.

mod cache_only;
mod fenced;
mod queued;
mod shared;
mod unfenced;

use super::record::Role;
use super::state::Faults;
use super::{Fences, Setting, is_deep};

const NONE: Faults = Faults {
    evictions: 0,
    evictions_but_fences: 0,
    crashes: 0,
    durable_timeouts: 0,
    outages: 0,
    cache_timeouts: 0,
    slow_writers: 0,
    stale_hits: 0,
    cuts: 0,
    hours: 0,
};

const ONE_DURABLE_TIMEOUT: Faults = Faults {
    durable_timeouts: 1,
    ..NONE
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

/// Where every writer fences: no load sees less than an earlier one did.
fn monotonic(roles: Vec<Role>, faults: Faults) -> Setting {
    Setting {
        monotonic: true,
        ..fenced(roles, faults)
    }
}

/// Where every writer fences: no load sees less than was acknowledged.
fn fenced(roles: Vec<Role>, faults: Faults) -> Setting {
    Setting {
        fences: Fences::All,
        ..acknowledged(roles, faults)
    }
}

/// Where an ordinary change after a load that hit has no fence: no load sees less than was acknowledged.
fn acknowledged(roles: Vec<Role>, faults: Faults) -> Setting {
    Setting {
        roles,
        faults,
        ..Setting::default()
    }
}
