//! The property that breaks without each rule of the protocol: a model that cannot fail proves nothing.

use super::mutation::Mutation;
use super::record::Role::{Add, Create, Destroy, Read, Reject, Rotate};
use super::state::Faults;
use super::{ACKNOWLEDGED, BACK, CLEAN, DEAD, FRESH, Fences, LOST, ONCE, Setting, is_deep};

#[track_caller]
fn breaks(mutation: Mutation, promise: &'static str, mut setting: Setting) {
    setting.mutation = mutation;
    let failed = setting.clone().explore(&format!("{mutation:?}"));
    assert!(failed.contains(&promise), "{failed:?}");
    // The mutation alone must be the reason.
    if is_deep() {
        setting.mutation = Mutation::None;
        assert_eq!(setting.explore(&format!("without {mutation:?}")), Vec::<&str>::new());
    }
}

fn monotonic(roles: &[crate::Role]) -> Setting {
    Setting {
        roles: roles.to_vec(),
        monotonic: true,
        fences: Fences::All,
        ..Setting::default()
    }
}

#[test]
fn a_writer_fences_again_after_a_conflict() {
    breaks(
        Mutation::OneFence,
        ACKNOWLEDGED,
        monotonic(&[Add, Add, Read(1), Read(1)]),
    );
}

#[test]
fn a_delete_is_conditional() {
    breaks(
        Mutation::BlindDelete,
        BACK,
        monotonic(&[Destroy, Add, Read(1), Read(1)]),
    );
}

#[test]
fn a_write_is_acknowledged_after_the_cache_is_settled() {
    let faults = Faults {
        evictions: 1,
        ..Faults::default()
    };
    let mut setting = monotonic(&[Add, Read(2), Read(1)]);
    setting.monotonic = false;
    setting.faults = faults;
    breaks(Mutation::AnswerEarly, ACKNOWLEDGED, setting);
}

#[test]
fn leases_need_fences() {
    breaks(Mutation::NoFence, BACK, monotonic(&[Add, Read(2)]));
}

#[test]
fn cache_aside_is_not_enough() {
    let mut setting = monotonic(&[Add, Read(1), Read(1)]);
    setting.monotonic = false;
    breaks(Mutation::CacheAside, ACKNOWLEDGED, setting);
}

#[test]
fn a_fence_without_an_answer_does_not_count() {
    let mut setting = monotonic(&[Add, Add, Read(1)]);
    setting.monotonic = false;
    setting.faults.cache_timeouts = 1;
    breaks(Mutation::TrustFence, ACKNOWLEDGED, setting);
}

#[test]
fn a_late_write_is_not_published_over_a_later_fence() {
    let mut setting = monotonic(&[Add, Add, Read(1)]);
    setting.monotonic = false;
    setting.faults.durable_timeouts = 1;
    breaks(Mutation::TrustConflict, ACKNOWLEDGED, setting);
}

#[test]
fn a_later_writer_removes_a_fence_whose_writer_may_restore_an_older_record() {
    let mut setting = monotonic(&[Add, Add, Read(2)]);
    setting.monotonic = false;
    setting.faults.evictions = 1;
    setting.faults.outages = 1;
    breaks(Mutation::LeaveOldFence, ACKNOWLEDGED, setting);
}

#[test]
fn a_fence_outlives_the_writes_that_were_sent_before_it() {
    let mut setting = monotonic(&[Add, Read(1), Read(2)]);
    setting.faults.slow_writers = 1;
    breaks(Mutation::ShortFence, BACK, setting);
}

#[test]
fn a_writer_that_was_refused_withdraws_its_fence() {
    breaks(Mutation::KeepFence, CLEAN, monotonic(&[Rotate, Rotate, Add]));
}

#[test]
fn a_writer_that_was_refused_does_not_restore_what_others_have_changed() {
    breaks(
        Mutation::RestoreOld,
        ACKNOWLEDGED,
        monotonic(&[Rotate, Rotate, Add, Read(1)]),
    );
}

#[test]
fn a_token_that_was_refused_is_forgotten() {
    let mut setting = monotonic(&[Add, Add, Destroy, Rotate]);
    setting.cache_only = true;
    setting.faults.cache_timeouts = 1;
    breaks(Mutation::KeepToken, LOST, setting);
}

fn unfenced(roles: &[crate::Role]) -> Setting {
    Setting {
        roles: roles.to_vec(),
        ..Setting::default()
    }
}

#[test]
fn a_load_may_go_back_where_an_ordinary_change_is_not_fenced() {
    let mut setting = unfenced(&[Add, Read(2), Read(1)]);
    setting.monotonic = true;
    let failed = setting.explore("unfenced, and monotonic");
    assert!(failed.contains(&BACK), "{failed:?}");
}

#[test]
fn a_write_without_a_fence_is_acknowledged_after_the_swap() {
    breaks(Mutation::AnswerEarly, ACKNOWLEDGED, unfenced(&[Add, Read(1)]));
}

#[test]
fn a_swap_that_was_refused_is_no_success() {
    let mut setting = unfenced(&[Add, Read(1), Read(1)]);
    setting.faults.stale_hits = 1;
    breaks(Mutation::TrustSwap, ACKNOWLEDGED, setting);
}

#[test]
fn a_swap_that_was_not_answered_is_no_success() {
    let mut setting = unfenced(&[Add, Read(1)]);
    setting.faults.cache_timeouts = 1;
    breaks(Mutation::TrustSilence, ACKNOWLEDGED, setting);
}

#[test]
fn no_fence_is_set_after_the_durable_write() {
    breaks(Mutation::LateFence, ACKNOWLEDGED, unfenced(&[Add, Add, Read(1)]));
}

#[test]
fn a_lease_is_removed_where_the_loaded_value_is_gone() {
    let mut setting = unfenced(&[Add, Read(1), Read(1)]);
    setting.faults.stale_hits = 1;
    breaks(Mutation::LeaveLease, ACKNOWLEDGED, setting);
}

#[test]
fn an_older_value_is_removed_where_the_loaded_one_is_gone() {
    let mut setting = unfenced(&[Add, Read(1), Read(1)]);
    setting.faults.stale_hits = 1;
    breaks(Mutation::LeaveOldValue, ACKNOWLEDGED, setting);
}

#[test]
fn a_created_session_is_added_to_the_cache_before_it_is_known() {
    let mut setting = unfenced(&[Create, Add, Read(1)]);
    setting.faults.evictions = 1;
    breaks(Mutation::AddLate, ACKNOWLEDGED, setting);
}

#[test]
fn a_key_is_given_up_where_adding_it_to_the_cache_was_not_answered() {
    let mut setting = unfenced(&[Create, Add, Read(1)]);
    setting.faults.evictions = 1;
    setting.faults.cache_timeouts = 1;
    breaks(Mutation::TrustAdd, ACKNOWLEDGED, setting);
}

#[test]
fn an_insert_is_not_sent_again_under_the_same_key() {
    let mut setting = monotonic(&[Create, Destroy]);
    setting.faults.durable_timeouts = 1;
    breaks(Mutation::SameKey, DEAD, setting);
}

#[test]
fn what_a_commit_leaves_whose_time_runs_out_is_settled_in_the_background() {
    let mut setting = unfenced(&[Add, Read(1)]);
    setting.faults.cuts = 1;
    breaks(Mutation::CutShort, FRESH, setting);
}

#[test]
fn what_could_not_be_settled_is_tried_again() {
    let mut setting = unfenced(&[Add, Read(1)]);
    setting.faults.cache_timeouts = 2;
    breaks(Mutation::RepairOnce, FRESH, setting);
}

#[test]
fn a_token_that_was_not_answered_is_forgotten() {
    let mut setting = unfenced(&[Add, Add, Read(1)]);
    setting.faults.cache_timeouts = 1;
    breaks(Mutation::TrustToken, ACKNOWLEDGED, setting);
}

#[test]
fn a_token_from_before_a_restart_names_nothing() {
    let mut setting = unfenced(&[Add, Add, Read(1)]);
    setting.faults.evictions = 1;
    breaks(Mutation::RepeatTokens, ACKNOWLEDGED, setting);
}

#[test]
fn a_value_whose_successor_is_too_large_for_the_cache_is_removed() {
    let mut setting = unfenced(&[Add, Read(1)]);
    setting.large = true;
    breaks(Mutation::TrustFull, ACKNOWLEDGED, setting);
}

fn partitioned(roles: &[crate::Role]) -> Setting {
    let mut setting = unfenced(roles);
    setting.partitioned = Some(1);
    setting.faults.hours = 1;
    setting
}

#[test]
fn a_value_that_is_too_old_is_not_served() {
    breaks(Mutation::TrustOld, ACKNOWLEDGED, partitioned(&[Add, Read(1)]));
}

#[test]
fn a_value_is_as_old_as_the_question_for_it() {
    breaks(Mutation::StampLate, ACKNOWLEDGED, partitioned(&[Add, Read(1), Read(1)]));
}

fn queued(roles: &[crate::Role]) -> Setting {
    let mut setting = unfenced(roles);
    setting.queued_writers = 3;
    setting
}

#[test]
fn a_patch_that_could_not_be_made_is_not_acknowledged_with_the_others() {
    breaks(Mutation::AcknowledgeRefused, LOST, queued(&[Add, Add, Reject]));
}

#[test]
fn a_patch_is_refused_by_the_record_that_was_written() {
    breaks(Mutation::FirstOutcome, LOST, queued(&[Add, Reject, Add, Add]));
}

#[test]
fn which_commits_are_new_is_counted_from_the_record_that_the_write_was_based_on() {
    let mut setting = unfenced(&[Add, Add]);
    setting.faults.durable_timeouts = 1;
    setting.kept_nonces = Some(1);
    breaks(Mutation::EarlyBase, ONCE, setting);
}

#[test]
fn a_writer_leaves_to_the_next_what_it_has_stored() {
    breaks(Mutation::HandOverOld, LOST, queued(&[Add, Add]));
}

#[test]
fn a_reader_joins_no_load_that_is_under_way() {
    let mut setting = unfenced(&[Add, Rotate, Read(1), Read(1)]);
    setting.shared_loads = true;
    breaks(Mutation::JoinInFlight, ACKNOWLEDGED, setting);
}
