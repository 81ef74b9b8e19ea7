//! Writers of one process queue, and the one whose turn it is writes for those behind it.

use super::super::Setting;
use super::super::record::Role::{self, Add, Destroy, Read, Reject, Rotate};
use super::super::state::Faults;
use super::{NONE, ONE_DURABLE_TIMEOUT, acknowledged, bound, holds, roles};

/// The first writers are of one process, the others are not.
fn queued(queued_writers: u8, roles: Vec<Role>, faults: Faults) -> Setting {
    Setting {
        queued_writers,
        ..acknowledged(roles, faults)
    }
}

#[test]
fn with_writers_of_one_process() {
    let roles = roles(&[Add, Add, Add], &[Add, Add, Add, Read(1)]);
    holds("queued: writers of one process", queued(3, roles, NONE));
}

#[test]
fn with_a_writer_of_another_process() {
    let roles = roles(&[Add, Reject, Add], &[Add, Add, Reject, Add]);
    let queued_writers = bound(2, 3);
    holds(
        "queued: a writer of another process",
        queued(queued_writers, roles, NONE),
    );
}

#[test]
fn with_writers_that_reject() {
    holds(
        "queued: writers that reject",
        queued(2, vec![Reject, Reject, Add], NONE),
    );
}

#[test]
fn with_a_rotation_of_another_process() {
    holds(
        "queued: a rotation of another process",
        queued(2, vec![Add, Reject, Rotate], NONE),
    );
}

#[test]
fn with_a_rotation_and_a_destroy() {
    let roles = roles(&[Add, Rotate, Destroy], &[Add, Rotate, Add, Destroy]);
    let queued_writers = bound(2, 3);
    holds("queued: a rotation and a destroy", queued(queued_writers, roles, NONE));
}

#[test]
fn with_a_durable_tier_that_times_out() {
    let roles = roles(&[Add, Add, Add], &[Add, Reject, Add]);
    let queued_writers = bound(3, 2);
    holds(
        "queued: a durable tier that times out",
        queued(queued_writers, roles, ONE_DURABLE_TIMEOUT),
    );
}

#[test]
fn with_a_record_that_keeps_one_nonce() {
    let queued_writers = bound(3, 2);
    let setting = Setting {
        kept_nonces: Some(1),
        ..queued(queued_writers, vec![Add, Add, Add], ONE_DURABLE_TIMEOUT)
    };
    holds("queued: a record that keeps one nonce", setting);
}

#[test]
fn with_a_commit_whose_time_runs_out() {
    let roles = roles(&[Add, Add, Add], &[Add, Reject, Add]);
    let faults = Faults { cuts: 1, ..NONE };
    let setting = queued(bound(3, 2), roles, faults);
    holds("queued: a commit whose time runs out", setting);
}

#[test]
fn with_a_durable_tier_that_is_down() {
    let faults = Faults { outages: 1, ..NONE };
    let setting = queued(bound(3, 2), vec![Add, Add, Add], faults);
    holds("queued: a durable tier that is down", setting);
}
