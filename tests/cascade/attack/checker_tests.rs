//! The checker detects each violation, on histories written by hand.

use std::time::Duration;

use session_tests::attack::View;

use super::checker::check;
use super::history::{Ack, History, Kind, Op, Outcome};

const ID: u64 = 7;
const MAX_STALENESS: Duration = Duration::from_millis(1000);

fn seen(adds: &[u32], note: u32) -> View {
    View {
        is_new: false,
        id: ID,
        visits: adds.len() as u64,
        adds: adds.iter().copied().collect(),
        note,
        user: 0,
    }
}

fn none() -> View {
    View {
        is_new: true,
        ..View::default()
    }
}

/// Consecutive operations, each a second long, a second apart, and numbered from one.
fn history(ops: impl IntoIterator<Item = (Kind, Outcome)>) -> History {
    let ops = (1..).zip(ops).map(|(number, (kind, outcome))| Op {
        kind,
        number,
        node: 0,
        cookie: 0,
        issuer: 0,
        start: Duration::from_secs(2 * u64::from(number)),
        end: Duration::from_secs(2 * u64::from(number) + 1),
        outcome,
    });
    History {
        id: ID,
        ops: ops.collect(),
    }
}

fn all(view: View) -> Outcome {
    Outcome::Answered(view, Ack::Coherent)
}

fn clean(view: View) -> Outcome {
    Outcome::Answered(view, Ack::Clean)
}

fn unfenced(view: View) -> Outcome {
    Outcome::Answered(view, Ack::Unfenced)
}

#[track_caller]
fn assert_valid(history: &History) {
    assert_eq!(check(history, MAX_STALENESS), Vec::<String>::new());
}

#[track_caller]
fn assert_detected(history: &History, text: &str) {
    let found = check(history, MAX_STALENESS);
    assert!(found.iter().any(|line| line.contains(text)), "{text:?} in {found:?}");
}

#[test]
fn a_valid_history_passes() {
    assert_valid(&history([
        (Kind::Create, all(seen(&[], 0))),
        (Kind::Add, all(seen(&[2], 0))),
        (Kind::Note, all(seen(&[2], 3))),
        (Kind::Add, Outcome::Unknown("lost")),
        (Kind::Add, Outcome::Refused("unavailable")),
        (Kind::Read, clean(seen(&[2], 3))),
        (Kind::Read, clean(seen(&[2, 4], 3))),
        (Kind::Destroy, all(seen(&[2, 4], 3))),
        (Kind::Read, clean(none())),
        (Kind::Add, Outcome::Gone),
    ]));
}

#[test]
fn a_missing_add_is_detected() {
    let add = |outcome| [(Kind::Add, outcome), (Kind::Read, clean(seen(&[], 0)))];
    assert_detected(&history(add(all(seen(&[1], 0)))), "an acknowledged add is missing");
    assert_valid(&history(add(Outcome::Unknown("lost"))));
}

#[test]
fn an_add_that_is_counted_twice_or_never_is_detected() {
    for visits in [0, 2] {
        let wrong = View {
            visits,
            ..seen(&[1], 0)
        };
        let history = history([(Kind::Add, all(seen(&[1], 0))), (Kind::Read, clean(wrong))]);
        assert_detected(&history, "not counted exactly once");
    }
}

#[test]
fn a_refused_write_that_was_applied_is_detected() {
    for outcome in [Outcome::Refused("unavailable"), Outcome::Gone] {
        let history = history([(Kind::Add, outcome), (Kind::Read, clean(seen(&[1], 0)))]);
        assert_detected(&history, "a refused write was applied");
    }
}

#[test]
fn a_write_that_failed_with_gone_may_have_been_applied_before_the_session_ended() {
    let mut history = history([
        (Kind::Add, Outcome::Gone),
        (Kind::Read, clean(seen(&[1], 0))),
        (Kind::Destroy, all(seen(&[1], 0))),
    ]);
    assert_detected(&history, "a refused write was applied");
    history.ops[0].end = history.ops[2].end;
    assert_valid(&history);
}

#[test]
fn a_value_that_nobody_wrote_is_detected() {
    assert_detected(&history([(Kind::Read, clean(seen(&[9], 0)))]), "was never requested");
    assert_detected(&history([(Kind::Read, clean(seen(&[], 9)))]), "was never requested");
    let from_later = history([(Kind::Read, clean(seen(&[2], 0))), (Kind::Add, all(seen(&[2], 0)))]);
    assert_detected(&from_later, "was requested later");
}

#[test]
fn an_older_note_is_detected() {
    let notes = |second, read| {
        history([
            (Kind::Note, all(seen(&[], 1))),
            (Kind::Note, second),
            (Kind::Read, clean(seen(&[], read))),
        ])
    };
    assert_detected(&notes(all(seen(&[], 2)), 1), "a Note older than an acknowledged one");
    assert_detected(&notes(all(seen(&[], 2)), 0), "a Note older than an acknowledged one");
    assert_valid(&notes(Outcome::Unknown("lost"), 1));
    assert_valid(&notes(all(seen(&[], 2)), 2));
}

#[test]
fn a_stale_read_is_allowed_after_an_unfenced_write_until_the_maximum_staleness() {
    let mut history = history([
        (Kind::Add, unfenced(seen(&[1], 0))),
        (Kind::Read, clean(seen(&[], 0))),
        (Kind::Read, clean(seen(&[1], 0))),
    ]);
    history.ops[1].start = history.ops[0].end + MAX_STALENESS / 2;
    assert_valid(&history);
    history.ops[1].start = history.ops[0].end + MAX_STALENESS * 3;
    assert_detected(&history, "an acknowledged add is missing");
}

#[test]
fn a_session_that_comes_back_is_detected() {
    let after = |kind, outcome| history([(Kind::Destroy, all(seen(&[], 0))), (kind, outcome)]);
    let word = "seen after an acknowledged destroy";
    assert_detected(&after(Kind::Read, clean(seen(&[], 0))), word);
    assert_detected(&after(Kind::Add, all(seen(&[2], 0))), word);
    assert_valid(&after(Kind::Read, clean(none())));
    // A stale read is allowed after an unfenced destroy, a write is not.
    let unfenced_then = |kind, outcome| {
        let mut history = history([(Kind::Destroy, unfenced(seen(&[], 0))), (kind, outcome)]);
        history.ops[1].start = history.ops[0].end + MAX_STALENESS / 2;
        history
    };
    assert_valid(&unfenced_then(Kind::Read, clean(seen(&[], 0))));
    assert_detected(&unfenced_then(Kind::Add, all(seen(&[2], 0))), word);
}

#[test]
fn a_value_of_another_session_is_detected() {
    let foreign = View { id: 8, ..seen(&[], 0) };
    assert_detected(&history([(Kind::Read, clean(foreign))]), "a value of another session");
}

#[test]
fn a_lost_session_is_detected() {
    assert_detected(&history([(Kind::Read, clean(none()))]), "the session is lost");
    assert_detected(&history([(Kind::Add, Outcome::Gone)]), "the session is lost");
    let destroyed = |outcome| history([(Kind::Destroy, outcome), (Kind::Read, clean(none()))]);
    assert_detected(&destroyed(Outcome::Refused("unavailable")), "the session is lost");
    assert_valid(&destroyed(Outcome::Unknown("lost")));
}

#[test]
fn a_secret_may_be_rejected_after_the_second_rotation_only() {
    let mut history = history([(Kind::Rotate, all(seen(&[], 0))), (Kind::Read, clean(none()))]);
    assert_detected(&history, "the session is lost");
    // Now the rotation is the second one after the reader's cookie.
    history.ops[0].cookie = 1;
    assert_valid(&history);
}

#[test]
fn a_superseded_secret_reads_and_writes_nothing() {
    let signed_in = |user| View { user, ..seen(&[], 0) };
    let after = |kind, outcome| history([(Kind::SignIn, all(signed_in(1))), (kind, outcome)]);
    let word = "seen after an acknowledged sign-in";
    for kind in [Kind::Read, Kind::Note, Kind::Destroy, Kind::SignIn] {
        assert_detected(&after(kind, all(signed_in(1))), word);
        assert_valid(&after(kind, clean(none())));
    }
    // The client has got the new secret.
    let mut history = after(Kind::Read, clean(signed_in(1)));
    history.ops[1].issuer = 1;
    assert_valid(&history);
    history.ops[1].outcome = clean(none());
    assert_detected(&history, "the session is lost");
    history.ops[1].outcome = clean(seen(&[], 0));
    assert_detected(&history, "a SignIn older than an acknowledged one");
}

#[test]
fn an_unexpected_response_is_detected() {
    let history = history([(Kind::Read, Outcome::Unexpected("500".to_owned()))]);
    assert_detected(&history, "an unexpected response");
}
