//! What a single actor does, step by step.

use session_runtime::__private::cascade::protocol::{Action, CacheCommit, Change, Event, Goal, Item, Machine, Step};
use session_runtime::__private::session::meta::Millis;
use session_runtime::tier::{Swap, Token, Version};
use stateright::Model;

use super::record::{Edit, Patch, Record, Role};
use super::state::{Faults, SystemState};
use super::{Move, Setting};
use crate::actor::CallOutcome;

/// The states before and after these steps of a single writer, where the cache has the session at the start.
fn run(role: Role, outcomes: &[CallOutcome]) -> (SystemState, SystemState) {
    let setting = Setting {
        roles: vec![role],
        faults: Faults {
            outages: 1,
            ..Faults::default()
        },
        ..Setting::default()
    };
    let before = setting.init_states().pop().unwrap();
    let mut state = before.clone();
    for outcome in outcomes {
        state = setting.next_state(&state, Move::Step(0, *outcome)).unwrap();
    }
    (before, state)
}

/// An ordinary change takes two round trips, one that must be fenced takes four; each takes one durable call.
#[test]
fn a_commit_after_a_hit_leaves_the_cache_filled() {
    for (role, calls) in [(Role::Add, 2 + 1), (Role::Rotate, 4 + 1)] {
        let (_, state) = run(role, &vec![CallOutcome::Answered; calls]);
        assert!(state.actors.is_empty());
        assert_eq!(state.acknowledged, 0b10);
        let (version, record) = state.durable.unwrap();
        let is_current = matches!(
            state.cache,
            Some((Item::Value { version: v, record: r, .. }, _)) if v == version && r == record
        );
        assert!(is_current, "{role:?}");
    }
}

#[test]
fn a_writer_whose_write_failed_leaves_the_cache_as_it_was() {
    use CallOutcome::{Answered, Refused, TooLarge};
    for failure in [Refused, TooLarge] {
        let fenced = [Answered, Answered, failure, Answered, Answered];
        for (role, outcomes) in [(Role::Add, &[Answered, failure][..]), (Role::Rotate, &fenced)] {
            let (before, state) = run(role, outcomes);
            assert!(state.actors.is_empty());
            assert_eq!(state.rejected, 0b10);
            let item = |state: SystemState| state.cache.map(|(item, _)| item);
            assert_eq!(item(state), item(before));
        }
    }
}

#[test]
fn a_writer_of_the_cache_only_forgets_a_token_that_was_refused() {
    let edit = |id| {
        let patch = Patch::new(id, Role::Add, Record::default());
        Edit::new(patch, &[], &Setting::default())
    };
    let value = |record: Record| Item::Value {
        version: Edit::version_of(&record),
        asked_at: Millis(0),
        record,
    };
    let made = |id, to| edit(id).apply(&to).unwrap();
    let (mut mine, theirs) = (edit(1), made(2, Record::default()));
    let loaded = mine.apply(&Record::default()).unwrap();
    let mut commit = CacheCommit::new(Goal::Change, mine, loaded, Some(Token(7)));
    let swap = |record| Action::Swap(Token(7), value(record));
    assert_eq!(commit.begin(Millis(0)), Step::Do(swap(loaded)));
    for silence in [false, true] {
        let refused = if silence {
            Event::CacheUnknown
        } else {
            Event::Swapped(Swap::Changed)
        };
        assert_eq!(commit.on(refused, Millis(0)), Step::Do(Action::Get));
        // The cache gives the token's number to another value.
        let Step::Retry(_, action) = commit.on(Event::Got(Some((value(theirs), Token(7)))), Millis(0)) else {
            panic!("the writer tries again");
        };
        assert_eq!(action, swap(made(1, theirs)));
    }
    assert_eq!(Edit::version_of(&made(1, theirs)), Version(2));
}
