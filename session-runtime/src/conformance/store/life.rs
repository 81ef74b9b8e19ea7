//! The life of one session.

use std::collections::BTreeSet;
use std::time::Duration;

use super::sample::Sample;
use super::world::{GRACE, IDLE, MAX_AGE, MAX_LEN, Ticket, World};
use crate::cascade::CommitError;
use crate::conformance::probe::{Broken, Outcome, ensure, expect};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// The session must be there, with so many visits.
pub(super) async fn has_visits<S: Sample>(
    world: &World<'_>,
    what: &str,
    at: usize,
    ticket: &Ticket,
    visits: u64,
) -> Outcome {
    let visit = world.node(at).found::<S>(ticket).await?;
    expect(what, S::visits(&visit.fields), visits)
}

/// A commit must be told that the session has ended.
pub(super) fn is_gone<T: std::fmt::Debug>(what: &str, outcome: Result<T, CommitError>) -> Outcome {
    match outcome {
        Err(CommitError::Gone { .. }) => Ok(()),
        other => Err(Broken::new(
            format!("{what} to be told that the session has ended"),
            format!("it was told {other:?}"),
        )),
    }
}

pub(super) async fn unknown_is_none<S: Sample>(world: &World<'_>) -> Outcome {
    let unknown = world.node(0).ticket();
    for at in 0..4 {
        world
            .node(at)
            .is_absent::<S>("a key that was never used", &unknown)
            .await?;
        world.settle().await;
    }
    Ok(())
}

pub(super) async fn created_is_found<S: Sample>(world: &World<'_>) -> Outcome {
    let change = |fields: &mut S::Fields| {
        S::visit(fields);
        S::set_note(fields, "\u{fc}ber \0 \r\n");
        S::tag(fields, u64::MAX);
    };
    let ticket = world.node(0).created::<S>(change).await?;
    for at in 0..4 {
        let visit = world.node(at).found::<S>(&ticket).await?;
        expect("its visits", S::visits(&visit.fields), 1)?;
        expect("its note", S::note(&visit.fields), "\u{fc}ber \0 \r\n")?;
        let tags = S::tags(&visit.fields);
        ensure(
            *tags == BTreeSet::from([u64::MAX]),
            "the tags as they were left",
            || format!("they were {tags:?}"),
        )?;
        // The next look finds what this one has put into the cache, where there is one.
        world.settle().await;
    }
    Ok(())
}

pub(super) async fn creation_never_replaces<S: Sample>(world: &World<'_>) -> Outcome {
    let first = world.node(0).created::<S>(S::visit).await?;
    let outcome = world
        .node(1)
        .create_at::<S>(&first, |fields| S::set_note(fields, "second"))
        .await;
    ensure(outcome.is_err(), "a second creation under one key to fail", || {
        "it was done".to_owned()
    })?;
    let visit = world.node(0).found::<S>(&first).await?;
    expect("the first one's visits", S::visits(&visit.fields), 1)?;
    expect("the first one's note", S::note(&visit.fields), "")
}

pub(super) async fn destroyed_stays_dead<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).created::<S>(S::visit).await?;
    world.node(0).visit::<S>(&ticket).await?;
    let mut late = world.node(1).found::<S>(&ticket).await?;
    let later = world.node(0).found::<S>(&ticket).await?;
    world.node(0).found::<S>(&ticket).await?.destroy().await?;
    for at in 0..2 {
        world.node(at).is_absent::<S>("a destroyed session", &ticket).await?;
    }
    S::visit(&mut late.fields);
    is_gone("a commit after the destroy", late.commit().await)?;
    // A second destroy has nothing to do, and must not bring anything back either.
    match later.destroy().await {
        Ok(_) | Err(CommitError::Gone { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    // Nor may it depend on what the cache remembers of its end.
    world.settle().await;
    world.evict(&ticket).await?;
    for at in 0..4 {
        world.node(at).is_absent::<S>("a destroyed session", &ticket).await?;
        world.settle().await;
    }
    Ok(())
}

pub(super) async fn rotation_has_a_grace<S: Sample>(world: &World<'_>) -> Outcome {
    let old = world.node(0).created::<S>(S::visit).await?;
    let mut late = world.node(1).found::<S>(&old).await?;
    let new = world.node(0).found::<S>(&old).await?.rotate(Some(GRACE)).await?;
    for at in 0..2 {
        has_visits::<S>(world, "the visits, by the new secret", at, &new, 1).await?;
        has_visits::<S>(world, "the visits, by the old secret within its grace", at, &old, 1).await?;
    }
    S::visit(&mut late.fields);
    late.commit().await?;
    has_visits::<S>(world, "the visits after a commit by the old secret", 0, &new, 2).await?;
    let mut too_late = world.node(1).found::<S>(&old).await?;
    world.clock.advance(GRACE + SECOND);
    for at in 0..2 {
        has_visits::<S>(world, "the visits, by the new secret after the grace", at, &new, 2).await?;
        let what = "the session by the old secret after its grace";
        world.node(at).is_absent::<S>(what, &old).await?;
    }
    S::visit(&mut too_late.fields);
    is_gone("a commit by the old secret after its grace", too_late.commit().await)?;
    has_visits::<S>(world, "the visits", 1, &new, 2).await
}

pub(super) async fn privileged_rotation_has_none<S: Sample>(world: &World<'_>) -> Outcome {
    let old = world.node(0).created::<S>(S::visit).await?;
    let mut late = world.node(1).found::<S>(&old).await?;
    let thief = world.node(1).found::<S>(&old).await?;
    let mut login = world.node(0).found::<S>(&old).await?;
    S::set_user(&mut login.fields, 7);
    let new = login.rotate(None).await?;
    for at in 0..2 {
        has_visits::<S>(world, "the visits, by the new secret", at, &new, 1).await?;
        world
            .node(at)
            .is_absent::<S>("the session by the old secret", &old)
            .await?;
    }
    S::visit(&mut late.fields);
    is_gone("a commit by the old secret", late.commit().await)?;
    is_gone("a destroy by the old secret", thief.destroy().await)?;
    has_visits::<S>(world, "the visits, untouched by the old secret", 1, &new, 1).await
}

pub(super) async fn idle_sessions_end<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).created::<S>(S::visit).await?;
    world.node(0).found::<S>(&ticket).await?;
    world.clock.advance(IDLE - SECOND);
    has_visits::<S>(world, "the visits just before the end", 1, &ticket, 1).await?;
    world.clock.advance(SECOND);
    for at in 0..4 {
        world
            .node(at)
            .is_absent::<S>("a session past its idle time", &ticket)
            .await?;
        world.settle().await;
    }
    Ok(())
}

pub(super) async fn used_sessions_live_on<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).created::<S>(S::visit).await?;
    let visit = world.node(0).found::<S>(&ticket).await?;
    ensure(!visit.is_due(), "no renewal of a session that is fresh", || {
        "one was due".to_owned()
    })?;
    let pause = IDLE * 3 / 4;
    let mut age = Duration::ZERO;
    while age + pause < MAX_AGE {
        world.clock.advance(pause);
        age += pause;
        let visit = world.node(0).found::<S>(&ticket).await?;
        ensure(visit.is_due() || age + IDLE >= MAX_AGE, "a renewal to be due", || {
            format!("none was, after {pause:?} without one")
        })?;
        visit.commit().await?;
        has_visits::<S>(world, "the visits of a session that is used", 1, &ticket, 1).await?;
    }
    world.clock.advance(MAX_AGE - age);
    world
        .node(1)
        .is_absent::<S>("a session past its greatest age", &ticket)
        .await
}

pub(super) async fn too_large_changes_nothing<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).created::<S>(S::visit).await?;
    let mut visit = world.node(0).found::<S>(&ticket).await?;
    S::set_note(&mut visit.fields, &"x".repeat(MAX_LEN));
    match visit.commit().await {
        Err(CommitError::TooLarge { size, limit, .. }) if size > limit && limit == MAX_LEN => {}
        other => {
            return Err(Broken::new(
                "the commit to fail as too large, telling size and limit",
                format!("it gave {other:?}"),
            ));
        }
    }
    for at in 0..2 {
        let visit = world.node(at).found::<S>(&ticket).await?;
        expect("the note after a commit that was too large", S::note(&visit.fields), "")?;
    }
    world.node(1).visit::<S>(&ticket).await?;
    has_visits::<S>(world, "the visits after the next commit", 0, &ticket, 2).await
}
