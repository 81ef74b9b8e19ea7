//! Small runs, and what the checks find.

use std::rc::Rc;

use super::calendar::SECOND;
use super::check::Check;
use super::record::{Record, Shared, digest};
use super::report::Report;
use super::sessions::{Promised, Session};
use super::setting::{Fault, FaultKind, Setting};
use super::simulation::run;

fn small() -> Setting {
    Setting {
        nodes: 3,
        memcacheds: 2,
        sessions: 3_000,
        rate: 1_000.0,
        hot: 20.0,
        length: 2 * SECOND,
        ..Setting::usual()
    }
}

/// A few requests, and a fault from the second on that is longer than a commit may take.
fn failing(kind: FaultKind) -> Report {
    let fault = Fault {
        kind,
        from: SECOND,
        until: 41 * SECOND,
    };
    let (report, violations) = run(&Setting {
        rate: 50.0,
        hot: 5.0,
        fault: Some(fault),
        length: 45 * SECOND,
        ..small()
    })
    .unwrap();
    assert_eq!(violations, [""; 0], "{kind:?}");
    report
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    let (first, _) = run(&small()).unwrap();
    assert!(run(&small()).unwrap().0 == first);
    assert!(run(&Setting { seed: 2, ..small() }).unwrap().0 != first);
}

#[test]
fn without_a_fault_nearly_all_loads_hit_and_nothing_fails() {
    let (report, violations) = run(&Setting { hot: 0.0, ..small() }).unwrap();
    assert_eq!(violations, [""; 0]);
    assert!((1_800..2_200).contains(&report.requests), "{}", report.requests);
    assert!(
        report.hits * 100 > report.loads * 95,
        "{} of {}",
        report.hits,
        report.loads
    );
    assert!(report.commits >= report.requests / 10, "{}", report.commits);
    assert!(
        report.durable_calls < report.commits * 3 / 2,
        "{}",
        report.durable_calls
    );
    let failed = report.contended + report.unavailable + report.unknown + report.degraded + report.stale;
    assert_eq!(failed, 0);
}

#[test]
fn writers_of_one_session_on_many_nodes_wait_longer_than_on_one() {
    let wait = |nodes| {
        let (report, violations) = run(&Setting {
            nodes,
            hot: 500.0,
            ..small()
        })
        .unwrap();
        assert_eq!(violations, [""; 0]);
        report.commit_times.quantile(0.99).unwrap()
    };
    assert!(wait(10) > 2 * wait(1));
}

#[test]
fn writers_of_one_session_on_many_nodes_are_hardly_ever_refused() {
    for nodes in [10, 20] {
        let (report, violations) = run(&Setting {
            length: 40 * SECOND,
            ..super::scenarios::hot(nodes, 1_000.0)
        })
        .unwrap();
        assert_eq!(violations, [""; 0]);
        // None of ten nodes, and of twenty fewer than one in five thousand.
        let refused = if nodes == 10 { 0 } else { report.commits / 5_000 };
        assert!(
            report.contended <= refused,
            "{} of {}",
            report.contended,
            report.commits
        );
        let wait = report.commit_times.quantile(0.99).unwrap();
        assert!(wait < u64::from(nodes) * SECOND / 4, "{wait}");
    }
}

#[test]
fn a_datastore_that_stalls_breaks_no_promise_and_the_waits_are_soon_what_they_were() {
    let report = failing(FaultKind::DatastoreStalls);
    assert!(report.unknown > 0);
    let fault = Fault {
        kind: FaultKind::DatastoreStalls,
        from: SECOND,
        until: 2 * SECOND,
    };
    let setting = Setting {
        hot: 0.0,
        fault: Some(fault),
        length: 4 * SECOND,
        ..small()
    };
    let (report, _) = run(&setting).unwrap();
    assert!(report.recovery(&setting).unwrap() <= SECOND / 2);
    let longest = report
        .waits
        .iter()
        .filter_map(|waits| waits.quantile(1.0))
        .max()
        .unwrap();
    assert!(longest > SECOND / 2, "{longest}");
}

#[test]
fn a_memcached_that_fails_breaks_no_promise() {
    for kind in [FaultKind::MemcachedRestarts, FaultKind::MemcachedHangs] {
        let report = failing(kind);
        assert!(report.degraded > 0);
        assert_eq!(report.stale, 0);
    }
    // Whoever cannot reach it hides nothing from those who can, and says so.
    assert!(failing(FaultKind::MemcachedCutOff).stale > 0);
}

fn record(before: u64, updates: &[u32]) -> Shared {
    Rc::new(Record {
        sum: updates
            .iter()
            .map(|update| digest(*update))
            .fold(before, u64::wrapping_add),
        latest: updates.to_vec(),
        ..Record::default()
    })
}

/// What a check finds that knows two updates.
fn found(steps: impl FnOnce(&mut Check)) -> Vec<String> {
    let mut check = Check::default();
    assert_eq!([check.update(), check.update()], [0, 1]);
    steps(&mut check);
    check.descriptions
}

#[test]
fn an_update_that_is_lost_or_stored_twice_or_after_a_refusal_is_found() {
    let (first, both) = (record(0, &[0]), record(digest(0), &[1]));
    assert_eq!(
        found(|check| {
            check.wrote(7, None, &first);
            check.wrote(7, Some(&first), &both);
            check.acknowledged(7, 0);
            check.acknowledged(7, 1);
        }),
        [""; 0]
    );
    let lost = found(|check| check.wrote(7, Some(&first), &record(0, &[1])));
    assert_eq!(lost, ["session 7: a write loses updates"]);
    let twice = found(|check| {
        check.wrote(7, None, &first);
        check.wrote(7, Some(&first), &record(first.sum, &[0]));
    });
    assert_eq!(twice, ["session 7: update 0 is stored twice"]);
    let refused = found(|check| {
        check.refused(7, 0);
        check.wrote(7, None, &first);
    });
    assert_eq!(refused, ["session 7: update 0 is stored although it was refused"]);
    let missing = found(|check| check.acknowledged(7, 0));
    assert_eq!(missing, ["session 7: update 0 is acknowledged and not stored"]);
}

#[test]
fn a_stale_read_and_a_session_that_is_back_or_missing_are_found() {
    let session = Session::default();
    let promised = Promised {
        coherent: 3,
        acknowledged: 4,
        is_destroyed: false,
    };
    assert_eq!(found(|check| check.loaded(7, &session, promised, Some(4))), [""; 0]);
    let stale = found(|check| check.loaded(7, &session, promised, Some(2)));
    assert_eq!(stale, ["session 7: version 2 is read after 3"]);
    let missing = found(|check| check.loaded(7, &session, promised, None));
    assert_eq!(missing, ["session 7: not found, but not destroyed"]);
    let ended = Promised {
        is_destroyed: true,
        ..promised
    };
    let back = found(|check| check.loaded(7, &session, ended, Some(9)));
    assert_eq!(back, ["session 7: found after its end"]);
}
