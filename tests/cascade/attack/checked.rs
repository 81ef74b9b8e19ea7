//! The checker sees each thing that it is there to see, on histories written by hand.

use std::time::Duration;

use session_tests::attack::View;

use super::checker::check;
use super::history::{History, Kind, Op, Outcome, Seen};

const ID: u64 = 7;
const MAX_STALENESS: Duration = Duration::from_millis(1000);

fn seen(adds: &[u32], note: u32) -> View {
    View {
        is_new: false,
        id: ID,
        visits: adds.len() as u64,
        adds: adds.iter().copied().collect(),
        note,
    }
}

fn none() -> View {
    View {
        is_new: true,
        ..View::default()
    }
}

/// Operations that follow each other, each a second long, a second apart; the number is the place in the list.
fn history(ops: impl IntoIterator<Item = (Kind, Outcome)>) -> History {
    let ops = (1..).zip(ops).map(|(number, (kind, outcome))| Op {
        kind,
        number,
        node: 0,
        cookie: 0,
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
    Outcome::Answered(view, Seen::ByAll)
}

fn clean(view: View) -> Outcome {
    Outcome::Answered(view, Seen::Clean)
}

fn unfenced(view: View) -> Outcome {
    Outcome::Answered(view, Seen::Unfenced)
}

#[track_caller]
fn assert_sound(history: &History) {
    assert_eq!(check(history, MAX_STALENESS), Vec::<String>::new());
}

#[track_caller]
fn assert_seen(history: &History, word: &str) {
    let found = check(history, MAX_STALENESS);
    assert!(found.iter().any(|line| line.contains(word)), "{word:?} in {found:?}");
}

#[test]
fn a_sound_history_passes() {
    assert_sound(&history([
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
fn an_add_that_is_missing_is_seen() {
    let add = |outcome| [(Kind::Add, outcome), (Kind::Read, clean(seen(&[], 0)))];
    assert_seen(&history(add(all(seen(&[1], 0)))), "an acknowledged add is missing");
    assert_sound(&history(add(Outcome::Unknown("lost"))));
}

#[test]
fn an_add_that_is_counted_twice_or_never_is_seen() {
    for visits in [0, 2] {
        let wrong = View {
            visits,
            ..seen(&[1], 0)
        };
        let history = history([(Kind::Add, all(seen(&[1], 0))), (Kind::Read, clean(wrong))]);
        assert_seen(&history, "not counted exactly once");
    }
}

#[test]
fn a_refused_write_that_was_made_is_seen() {
    for outcome in [Outcome::Refused("unavailable"), Outcome::Gone] {
        let history = history([(Kind::Add, outcome), (Kind::Read, clean(seen(&[1], 0)))]);
        assert_seen(&history, "a refused write was made all the same");
    }
}

#[test]
fn a_write_may_be_made_just_before_the_session_ends_and_not_find_itself_again() {
    let mut history = history([
        (Kind::Add, Outcome::Gone),
        (Kind::Read, clean(seen(&[1], 0))),
        (Kind::Destroy, all(seen(&[1], 0))),
    ]);
    assert_seen(&history, "a refused write was made all the same");
    history.ops[0].end = history.ops[2].end;
    assert_sound(&history);
}

#[test]
fn what_nobody_wrote_is_seen() {
    assert_seen(&history([(Kind::Read, clean(seen(&[9], 0)))]), "was never asked for");
    assert_seen(&history([(Kind::Read, clean(seen(&[], 9)))]), "was never asked for");
    let from_later = history([(Kind::Read, clean(seen(&[2], 0))), (Kind::Add, all(seen(&[2], 0)))]);
    assert_seen(&from_later, "lies in the future");
}

#[test]
fn an_older_note_is_seen() {
    let notes = |second, read| {
        history([
            (Kind::Note, all(seen(&[], 1))),
            (Kind::Note, second),
            (Kind::Read, clean(seen(&[], read))),
        ])
    };
    assert_seen(&notes(all(seen(&[], 2)), 1), "a note older than an acknowledged one");
    assert_seen(&notes(all(seen(&[], 2)), 0), "a note older than an acknowledged one");
    assert_sound(&notes(Outcome::Unknown("lost"), 1));
    assert_sound(&notes(all(seen(&[], 2)), 2));
}

#[test]
fn staleness_is_excused_where_it_was_announced_and_no_longer_than_that() {
    let mut history = history([
        (Kind::Add, unfenced(seen(&[1], 0))),
        (Kind::Read, clean(seen(&[], 0))),
        (Kind::Read, clean(seen(&[1], 0))),
    ]);
    history.ops[1].start = history.ops[0].end + MAX_STALENESS / 2;
    assert_sound(&history);
    history.ops[1].start = history.ops[0].end + MAX_STALENESS * 2;
    assert_seen(&history, "an acknowledged add is missing");
}

#[test]
fn a_session_that_comes_back_is_seen() {
    let after = |kind, outcome| history([(Kind::Destroy, all(seen(&[], 0))), (kind, outcome)]);
    let word = "seen after an acknowledged destroy";
    assert_seen(&after(Kind::Read, clean(seen(&[], 0))), word);
    assert_seen(&after(Kind::Add, all(seen(&[2], 0))), word);
    assert_sound(&after(Kind::Read, clean(none())));
    // Not even where the caches may show the old value for a while does a write land.
    let unfenced_then = |kind, outcome| {
        let mut history = history([(Kind::Destroy, unfenced(seen(&[], 0))), (kind, outcome)]);
        history.ops[1].start = history.ops[0].end + MAX_STALENESS / 2;
        history
    };
    assert_sound(&unfenced_then(Kind::Read, clean(seen(&[], 0))));
    assert_seen(&unfenced_then(Kind::Add, all(seen(&[2], 0))), word);
}

#[test]
fn a_value_of_another_session_is_seen() {
    let foreign = View { id: 8, ..seen(&[], 0) };
    assert_seen(&history([(Kind::Read, clean(foreign))]), "a value of another session");
}

#[test]
fn a_session_that_is_lost_is_seen() {
    assert_seen(&history([(Kind::Read, clean(none()))]), "the session is lost");
    assert_seen(&history([(Kind::Add, Outcome::Gone)]), "the session is lost");
    let destroyed = |outcome| history([(Kind::Destroy, outcome), (Kind::Read, clean(none()))]);
    assert_seen(&destroyed(Outcome::Refused("unavailable")), "the session is lost");
    assert_sound(&destroyed(Outcome::Unknown("lost")));
}

#[test]
fn one_rotation_supersedes_nobody_two_do() {
    let mut history = history([(Kind::Rotate, all(seen(&[], 0))), (Kind::Read, clean(none()))]);
    assert_seen(&history, "the session is lost");
    // The secret that was rotated came itself from a rotation after the reader's.
    history.ops[0].cookie = 1;
    assert_sound(&history);
}

#[test]
fn an_answer_that_must_not_be_is_seen() {
    let history = history([(Kind::Read, Outcome::Wrong("500".to_owned()))]);
    assert_seen(&history, "must not be");
}
