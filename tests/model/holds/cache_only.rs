//! The cache as the only tier.

use super::super::Setting;
use super::super::record::Role::{self, Add, Create, Destroy, Read, Rotate};
use super::super::state::Faults;
use super::{NONE, holds, monotonic, roles};

fn cache_only(roles: Vec<Role>, faults: Faults) -> Setting {
    Setting {
        cache_only: true,
        ..monotonic(roles, faults)
    }
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
