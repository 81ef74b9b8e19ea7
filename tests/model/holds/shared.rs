//! Readers of one process that meet the same cold session share their loads.

use super::super::Setting;
use super::super::record::Role::{self, Add, Destroy, Read, Rotate};
use super::super::state::Faults;
use super::{NONE, acknowledged, holds, roles};

fn shared(roles: Vec<Role>, faults: Faults) -> Setting {
    Setting {
        shared_loads: true,
        ..acknowledged(roles, faults)
    }
}

#[test]
fn with_writers_and_readers() {
    let roles = roles(&[Add, Rotate, Read(1), Read(1)], &[Add, Rotate, Read(1), Read(2)]);
    holds("shared: writers and readers", shared(roles, NONE));
}

#[test]
fn with_evictions() {
    let roles = roles(&[Rotate, Read(1), Read(1)], &[Rotate, Read(1), Read(1), Read(2)]);
    let faults = Faults { evictions: 1, ..NONE };
    holds("shared: evictions", shared(roles, faults));
}

#[test]
fn with_a_reader_that_gives_up() {
    let roles = roles(&[Rotate, Read(1), Read(1)], &[Rotate, Read(1), Read(1), Read(1)]);
    let faults = Faults { crashes: 1, ..NONE };
    holds("shared: a reader that gives up", shared(roles, faults));
}

#[test]
fn with_a_destroy_and_a_durable_tier_that_is_down() {
    let roles = roles(&[Destroy, Read(1), Read(1)], &[Destroy, Add, Read(1), Read(1)]);
    let faults = Faults { outages: 1, ..NONE };
    holds(
        "shared: a destroy, and a durable tier that is down",
        shared(roles, faults),
    );
}
