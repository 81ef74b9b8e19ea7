//! What breaks without each part of the protocol: a model that could not see it would prove nothing.

use super::record::Part::{Add, Create, Destroy, Read};
use super::world::Faults;
use super::{ACKNOWLEDGED, BACK, DEAD, Setting, is_deep};
use crate::step::Twist;

#[track_caller]
fn breaks(twist: Twist, promise: &'static str, mut setting: Setting) {
    setting.twist = twist;
    let failed = setting.clone().explore(&format!("{twist:?}"));
    assert!(failed.contains(&promise), "{failed:?}");
    // Nothing but the twist may be the reason.
    if is_deep() {
        setting.twist = Twist::None;
        assert_eq!(setting.explore(&format!("without {twist:?}")), Vec::<&str>::new());
    }
}

fn strong(parts: &[crate::Part]) -> Setting {
    Setting {
        parts: parts.to_vec(),
        strong: true,
        ..Setting::default()
    }
}

#[test]
fn no_second_fence_after_a_conflict() {
    breaks(Twist::OneFence, ACKNOWLEDGED, strong(&[Add, Add, Read(1), Read(1)]));
}

#[test]
fn a_delete_without_condition() {
    breaks(Twist::BlindDelete, BACK, strong(&[Destroy, Add, Read(1), Read(1)]));
}

#[test]
fn an_answer_before_the_cache_is_settled() {
    let faults = Faults {
        evictions: 1,
        ..Faults::default()
    };
    let mut setting = strong(&[Add, Read(2), Read(1)]);
    setting.strong = false;
    setting.faults = faults;
    breaks(Twist::AnswerEarly, ACKNOWLEDGED, setting);
}

#[test]
fn leases_without_fences() {
    breaks(Twist::NoFence, BACK, strong(&[Add, Read(2)]));
}

#[test]
fn plain_cache_aside() {
    let mut setting = strong(&[Add, Read(1), Read(1)]);
    setting.strong = false;
    breaks(Twist::CacheAside, ACKNOWLEDGED, setting);
}

#[test]
fn a_fence_taken_to_be_up() {
    let mut setting = strong(&[Add, Add, Read(1)]);
    setting.strong = false;
    setting.faults.losses = 1;
    breaks(Twist::TrustFence, ACKNOWLEDGED, setting);
}

#[test]
fn a_late_write_shown_over_a_later_fence() {
    let mut setting = strong(&[Add, Add, Read(1)]);
    setting.strong = false;
    setting.faults.silences = 1;
    breaks(Twist::TrustConflict, ACKNOWLEDGED, setting);
}

#[test]
fn a_fence_that_may_be_taken_back_left_by_a_later_writer() {
    let mut setting = strong(&[Add, Add, Read(2)]);
    setting.strong = false;
    setting.faults.evictions = 1;
    setting.faults.outages = 1;
    breaks(Twist::LeaveOldFence, ACKNOWLEDGED, setting);
}

#[test]
fn an_insert_sent_again_under_the_same_key() {
    let mut setting = strong(&[Create, Destroy]);
    setting.faults.silences = 1;
    breaks(Twist::SameKey, DEAD, setting);
}
