//! What a single actor does, step by step.

use session_runtime::__private::cascade::protocol::{Action, CacheCommit, Change, Event, Goal, Item, Machine, Step};
use session_runtime::__private::session::meta::Millis;
use session_runtime::tier::{Swap, Token, Version};
use stateright::Model;

use super::record::{Edit, MAX_NONCES, Record, Role};
use super::state::{Faults, SystemState};
use super::{Move, Setting};
use crate::actor::CallOutcome;

/// The states before and after these steps of a single writer, where the cache has the session at the start.
fn run(outcomes: &[CallOutcome]) -> (SystemState, SystemState) {
    let setting = Setting {
        roles: vec![Role::Add],
        faults: Faults {
            outages: 1,
            ..Faults::default()
        },
        monotonic: true,
        ..Setting::default()
    };
    let before = setting.init_states().pop().unwrap();
    let mut state = before.clone();
    for outcome in outcomes {
        state = setting.next_state(&state, Move::Step(0, *outcome)).unwrap();
    }
    (before, state)
}

#[test]
fn a_commit_after_a_hit_takes_four_round_trips_and_one_durable_call() {
    let (_, state) = run(&[CallOutcome::Answered; 5]);
    assert!(state.actors.is_empty());
    assert_eq!(state.acknowledged, 0b10);
    let (version, record) = state.durable.unwrap();
    assert!(matches!(state.cache, Some((Item::Value { version: v, record: r, .. }, _)) if v == version && r == record));
}

#[test]
fn a_writer_whose_write_failed_restores_the_value_that_its_fence_replaced() {
    use CallOutcome::{Answered, Refused, TooLarge};
    for failure in [Refused, TooLarge] {
        let (before, state) = run(&[Answered, Answered, failure, Answered, Answered]);
        assert!(state.actors.is_empty());
        assert_eq!(state.rejected, 0b10);
        let item = |state: SystemState| state.cache.map(|(item, _)| item);
        assert_eq!(item(state), item(before));
    }
}

#[test]
fn a_writer_of_the_cache_only_forgets_a_token_that_was_refused() {
    let edit = |id| Edit::new(id, Role::Add, Record::default(), MAX_NONCES);
    let value = |record: Record| Item::Value {
        version: Edit::version_of(&record),
        asked_at: Millis(0),
        record,
    };
    let (mine, theirs) = (edit(1), edit(2).applied_to(Record::default()));
    let loaded = mine.applied_to(Record::default());
    let mut commit = CacheCommit::new(Goal::Change, mine, loaded, Some(Token(7)));
    let swap = |record| Action::Swap(Token(7), value(record));
    assert_eq!(commit.begin(Millis(0)), Step::Do(swap(loaded)));
    for silence in [false, true] {
        let refused = if silence {
            Event::CacheFailed
        } else {
            Event::Swapped(Swap::Changed)
        };
        assert_eq!(commit.on(refused, Millis(0)), Step::Do(Action::Get));
        // The cache gives the token's number to another value.
        let Step::Retry(_, action) = commit.on(Event::Got(Some((value(theirs), Token(7)))), Millis(0)) else {
            panic!("the writer tries again");
        };
        assert_eq!(action, swap(mine.applied_to(theirs)));
    }
    assert_eq!(Edit::version_of(&mine.applied_to(theirs)), Version(2));
}
