//! What holds, and under which faults.

use session_runtime::__private::cascade::protocol::Item;
use stateright::Model;

use super::record::Part::{self, Add, Create, Destroy, Read, Rotate};
use super::world::{Faults, World};
use super::{Move, Setting, is_deep};
use crate::actor::How;

const NONE: Faults = Faults {
    evictions: 0,
    forgets: 0,
    crashes: 0,
    silences: 0,
    outages: 0,
    losses: 0,
    olds: 0,
};

fn holds(name: &str, setting: Setting) {
    assert_eq!(setting.explore(name), Vec::<&str>::new());
}

/// No load sees less than an earlier one did.
fn strong(parts: &[Part], faults: Faults) -> Setting {
    Setting {
        strong: true,
        ..acked(parts, faults)
    }
}

/// No load sees less than was acknowledged.
fn acked(parts: &[Part], faults: Faults) -> Setting {
    Setting {
        parts: parts.to_vec(),
        faults,
        ..Setting::default()
    }
}

fn alone(parts: &[Part], faults: Faults) -> Setting {
    Setting {
        cache_only: true,
        ..strong(parts, faults)
    }
}

#[test]
fn writers_and_readers() {
    let parts: &[Part] = if is_deep() {
        &[Add, Add, Add, Read(1)]
    } else {
        &[Add, Add, Read(1), Read(1)]
    };
    holds("writers and readers", strong(parts, NONE));
}

#[test]
fn writers_that_crash() {
    let crashes = 1 + u8::from(is_deep());
    let parts: &[Part] = if is_deep() {
        &[Add, Add, Read(1), Read(1)]
    } else {
        &[Add, Add, Read(1)]
    };
    holds("writers that crash", strong(parts, Faults { crashes, ..NONE }));
}

#[test]
fn a_cache_that_forgets_anything_but_fences() {
    let parts: &[Part] = if is_deep() {
        &[Add, Add, Read(1), Read(1)]
    } else {
        &[Add, Read(1), Read(1)]
    };
    let faults = Faults {
        forgets: 1,
        olds: 1,
        ..NONE
    };
    holds("a cache that forgets anything but fences", strong(parts, faults));
}

#[test]
fn a_durable_tier_that_keeps_silent() {
    let parts: &[Part] = if is_deep() {
        &[Add, Add, Read(2)]
    } else {
        &[Add, Add, Read(1)]
    };
    let silences = 1 + u8::from(is_deep());
    holds(
        "a durable tier that keeps silent",
        strong(parts, Faults { silences, ..NONE }),
    );
}

#[test]
fn a_durable_tier_that_is_down() {
    let parts: &[Part] = if is_deep() {
        &[Add, Add, Read(1), Read(1)]
    } else {
        &[Add, Add, Read(2)]
    };
    let faults = Faults {
        outages: 1,
        crashes: u8::from(is_deep()),
        ..NONE
    };
    holds("a durable tier that is down", strong(parts, faults));
}

#[test]
fn a_durable_tier_that_is_silent_then_down() {
    let parts: &[Part] = if is_deep() {
        &[Add, Add, Read(2)]
    } else {
        &[Add, Read(2)]
    };
    let faults = Faults {
        silences: 1,
        outages: 1,
        ..NONE
    };
    holds("a durable tier that is silent, then down", strong(parts, faults));
}

#[test]
fn a_destroyer() {
    let parts: &[Part] = if is_deep() {
        &[Destroy, Add, Read(1), Read(2)]
    } else {
        &[Destroy, Add, Read(1)]
    };
    holds("a destroyer", strong(parts, Faults { silences: 1, ..NONE }));
}

#[test]
fn a_rotator() {
    let parts: &[Part] = if is_deep() {
        &[Rotate, Rotate, Add]
    } else {
        &[Rotate, Add]
    };
    holds("a rotator", strong(parts, Faults { silences: 1, ..NONE }));
}

#[test]
fn a_rotator_and_a_destroyer() {
    let parts: &[Part] = if is_deep() {
        &[Rotate, Rotate, Destroy, Read(1)]
    } else {
        &[Rotate, Destroy, Read(1)]
    };
    holds("a rotator and a destroyer", strong(parts, NONE));
}

#[test]
fn evictions_and_crashes() {
    let (parts, faults): (&[Part], _) = if is_deep() {
        (
            &[Destroy, Add, Read(2)],
            Faults {
                evictions: 2,
                crashes: 1,
                ..NONE
            },
        )
    } else {
        (
            &[Destroy, Add, Read(1)],
            Faults {
                evictions: 1,
                crashes: 1,
                ..NONE
            },
        )
    };
    holds("evictions and crashes", acked(parts, faults));
}

#[test]
fn evictions_while_the_durable_tier_is_down() {
    let (parts, faults): (&[Part], _) = if is_deep() {
        (
            &[Add, Add, Read(2)],
            Faults {
                evictions: 1,
                outages: 1,
                silences: 1,
                ..NONE
            },
        )
    } else {
        (
            &[Add, Read(2)],
            Faults {
                evictions: 1,
                outages: 1,
                silences: 1,
                ..NONE
            },
        )
    };
    holds("evictions while the durable tier is down", acked(parts, faults));
}

#[test]
fn a_cache_that_loses_answers() {
    let (parts, faults): (&[Part], _) = if is_deep() {
        (&[Add, Add, Read(2)], Faults { losses: 2, ..NONE })
    } else {
        (&[Add, Add, Read(1)], Faults { losses: 1, ..NONE })
    };
    holds("a cache that loses answers", acked(parts, faults));
}

#[test]
fn a_cache_and_a_durable_tier_that_lose_answers() {
    let (parts, faults): (&[Part], _) = if is_deep() {
        (
            &[Add, Add, Read(1)],
            Faults {
                losses: 1,
                silences: 1,
                ..NONE
            },
        )
    } else {
        (
            &[Add, Read(1)],
            Faults {
                losses: 1,
                silences: 1,
                ..NONE
            },
        )
    };
    holds("a cache and a durable tier that lose answers", acked(parts, faults));
}

#[test]
fn a_writer_cut_off_from_the_cache() {
    let parts: &[Part] = if is_deep() {
        &[Add, Add, Destroy, Read(1)]
    } else {
        &[Add, Add, Read(1)]
    };
    let setting = Setting {
        cut: Some(1),
        ..acked(parts, NONE)
    };
    holds("a writer cut off from the cache", setting);
}

#[test]
fn a_session_is_created_and_destroyed() {
    let faults = Faults {
        silences: 2,
        crashes: u8::from(is_deep()),
        ..NONE
    };
    let parts: &[Part] = if is_deep() {
        &[Create, Destroy, Add, Read(1)]
    } else {
        &[Create, Destroy, Read(1)]
    };
    holds("a session is created and destroyed", strong(parts, faults));
}

#[test]
fn a_record_that_forgets_who_wrote() {
    let parts: &[Part] = if is_deep() { &[Add, Add, Add] } else { &[Add, Add] };
    let setting = Setting {
        kept: Some(1),
        ..strong(parts, Faults { silences: 1, ..NONE })
    };
    holds("a record that forgets who wrote", setting);
}

#[test]
fn the_cache_alone() {
    let faults = Faults {
        losses: 1,
        crashes: 1,
        ..NONE
    };
    let parts: &[Part] = if is_deep() {
        &[Add, Add, Destroy, Rotate, Read(1)]
    } else {
        &[Add, Add, Destroy, Read(1)]
    };
    holds("the cache alone", alone(parts, faults));
}

#[test]
fn the_cache_alone_forgets() {
    let faults = Faults {
        losses: 1,
        evictions: 1,
        ..NONE
    };
    let parts: &[Part] = if is_deep() {
        &[Create, Add, Add, Destroy]
    } else {
        &[Create, Add, Destroy]
    };
    holds("the cache alone forgets", alone(parts, faults));
}

#[test]
fn records_too_large_for_the_cache() {
    let setting = Setting {
        large: true,
        ..strong(&[Add, Add, Read(1)], NONE)
    };
    holds("records too large for the cache", setting);
}

#[test]
fn records_too_large_for_the_cache_alone() {
    let setting = Setting {
        large: true,
        ..alone(&[Add, Destroy, Read(1)], Faults { losses: 1, ..NONE })
    };
    holds("records too large for the cache alone", setting);
}

/// The world after these moves of the only actor, which starts with the session in the cache.
fn after(moves: &[How]) -> (World, World) {
    let setting = strong(&[Add], Faults { outages: 1, ..NONE });
    let before = setting.init_states().pop().unwrap();
    let mut world = before.clone();
    for how in moves {
        world = setting.next_state(&world, Move::Step(0, *how)).unwrap();
    }
    (before, world)
}

#[test]
fn a_commit_after_a_hit_takes_four_round_trips_and_one_durable_call() {
    let (_, world) = after(&[How::Answered; 5]);
    assert!(world.actors.is_empty());
    assert_eq!(world.acknowledged, 0b10);
    let (version, record) = world.durable.unwrap();
    assert!(matches!(world.cache, Some((Item::Value { version: v, record: r, .. }, _)) if v == version && r == record));
}

#[test]
fn a_writer_that_failed_puts_back_what_it_hid() {
    use How::{Answered, Full, Refused};
    for failure in [Refused, Full] {
        let (before, world) = after(&[Answered, Answered, failure, Answered, Answered]);
        assert!(world.actors.is_empty());
        assert_eq!(world.denied, 0b10);
        let item = |world: World| world.cache.map(|(item, _)| item);
        assert_eq!(item(world), item(before));
    }
}
