//! Settings in which every property holds, and the property that breaks without each rule.

use super::Role::{Clear, EndAll, EndOne, LogOut, Rotate, SignIn, SignInNew};
use super::{ENDED, Faults, LISTED, Mutation, Role, Setting};
use crate::is_deep;

fn signed_in(roles: &[Role]) -> Setting {
    Setting {
        roles: roles.to_vec(),
        sessions: 1,
        is_signed_in: true,
        ..Setting::default()
    }
}

fn visitor(roles: &[Role]) -> Setting {
    Setting {
        is_signed_in: false,
        ..signed_in(roles)
    }
}

#[track_caller]
fn holds(name: &str, setting: &Setting) {
    assert_eq!(setting.explore(name), Vec::<&str>::new());
}

/// With each kind of fault in turn; in the deep bound, with one more actor and a crash too.
#[track_caller]
fn holds_with_faults(name: &str, setting: &Setting, one_more: Role) {
    let none = Faults::default();
    let crash = Faults { crashes: 1, ..none };
    for (what, faults) in [
        ("none", none),
        ("a crash", crash),
        ("silence", Faults { timeouts: 1, ..none }),
        ("an outage", Faults { outages: 1, ..none }),
    ] {
        let setting = Setting {
            faults,
            ..setting.clone()
        };
        holds(&format!("{name}, {what}"), &setting);
    }
    if is_deep() {
        let mut setting = setting.clone();
        setting.roles.push(one_more);
        setting.faults = crash;
        holds(&format!("{name}, one more and a crash"), &setting);
    }
}

#[test]
fn with_new_sessions_and_an_end() {
    let setting = signed_in(&[SignInNew, SignInNew, EndAll]);
    holds_with_faults("new sessions and an end", &setting, EndAll);
}

#[test]
fn with_a_visitor_who_signs_in_twice_and_an_end() {
    let setting = visitor(&[SignIn(0), SignIn(0), EndAll]);
    holds_with_faults("a visitor", &setting, EndAll);
}

#[test]
fn with_somebody_who_signs_in_again() {
    let setting = signed_in(&[SignIn(0), Rotate(0), EndAll]);
    holds_with_faults("again", &setting, SignInNew);
}

#[test]
fn with_somebody_who_logs_out() {
    let setting = signed_in(&[LogOut(0), SignIn(0), EndAll]);
    holds_with_faults("a logout", &setting, SignInNew);
}

#[test]
fn with_somebody_who_signs_out_and_in() {
    let setting = signed_in(&[Clear(0), SignIn(0), EndAll]);
    holds_with_faults("out and in", &setting, Clear(0));
}

#[test]
fn with_the_end_of_one() {
    let setting = signed_in(&[EndOne(0), SignIn(0), EndAll]);
    holds_with_faults("the end of one", &setting, Clear(0));
}

#[test]
fn with_epochs_that_are_handed_in() {
    let setting = Setting {
        epochs: true,
        ..signed_in(&[SignInNew, SignIn(0), EndAll])
    };
    holds_with_faults("epochs", &setting, EndAll);
}

/// The property that breaks where a rule does, and not without that.
#[track_caller]
fn breaks(mutation: Mutation, property: &'static str, mut setting: Setting) {
    setting.mutation = mutation;
    let failed = setting.explore(&format!("{mutation:?}"));
    assert!(failed.contains(&property), "{failed:?}");
    setting.mutation = Mutation::None;
    assert_eq!(setting.explore(&format!("without {mutation:?}")), Vec::<&str>::new());
}

#[test]
fn entries_leave_the_live_ones_as_they_are_ended() {
    breaks(Mutation::KeepLive, ENDED, signed_in(&[SignInNew, EndAll]));
}

#[test]
fn a_new_session_looks_whether_it_still_stands() {
    breaks(Mutation::SkipCheck, ENDED, signed_in(&[SignInNew, EndAll]));
}

#[test]
fn an_end_does_not_ask_whether_the_owner_shows() {
    breaks(Mutation::SpareUnsigned, ENDED, visitor(&[SignIn(0), EndAll]));
}

#[test]
fn who_signs_out_is_taken_out_by_the_entry() {
    breaks(Mutation::LeaveByKey, LISTED, signed_in(&[Clear(0), SignIn(0)]));
}

#[test]
fn who_has_signed_in_again_is_not_taken_out() {
    let faults = Faults {
        timeouts: 1,
        ..Faults::default()
    };
    let setting = Setting {
        faults,
        ..signed_in(&[Clear(0), SignIn(0)])
    };
    breaks(Mutation::LeaveSignedIn, LISTED, setting);
}

#[test]
fn a_failed_sign_in_restores_the_entry_before_it() {
    let faults = Faults {
        outages: 1,
        ..Faults::default()
    };
    let setting = Setting {
        faults,
        ..signed_in(&[SignIn(0)])
    };
    breaks(Mutation::UndoRemoves, LISTED, setting);
}

#[test]
fn sessions_are_destroyed_before_they_are_taken_out() {
    let faults = Faults {
        crashes: 1,
        ..Faults::default()
    };
    let setting = Setting {
        faults,
        ..signed_in(&[EndAll, EndAll])
    };
    breaks(Mutation::TakeOutFirst, LISTED, setting);
}

#[test]
fn an_epoch_that_was_handed_in_is_compared() {
    let setting = Setting {
        epochs: true,
        ..signed_in(&[SignInNew, EndAll])
    };
    breaks(Mutation::IgnoreEpoch, ENDED, setting);
}

#[test]
fn an_end_does_not_ask_for_the_secret() {
    breaks(Mutation::AskSecret, ENDED, signed_in(&[SignIn(0), EndAll]));
}
