//! The life cycle of one session.

use std::collections::BTreeSet;
use std::time::Duration;

use super::cluster::{Cluster, GRACE, IDLE, MAX_AGE, MAX_LEN, Node};
use super::sample::Sample;
use crate::cascade::{Commit, CommitError};
use crate::conformance::probe::{Outcome, RuleFailure, ensure, expect};
use crate::request::SessionToken;

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// The session must exist, with so many visits.
pub(super) async fn has_visits<S: Sample>(
    cluster: &Cluster<'_>,
    what: &str,
    at: usize,
    token: &SessionToken,
    visits: u64,
) -> Outcome {
    let request = cluster.node(at).found::<S>(token).await?;
    expect(what, S::visits(&request), visits)
}

/// A commit must fail because the session is gone.
pub(super) fn is_gone<T: std::fmt::Debug>(what: &str, outcome: Result<T, CommitError>) -> Outcome {
    match outcome {
        Err(CommitError::Gone { .. }) => Ok(()),
        other => Err(RuleFailure::new(
            format!("{what} to fail with `Gone`"),
            format!("it returned {other:?}"),
        )),
    }
}

/// A commit must fail because another secret has replaced its own. A destroy is told that its session is gone.
fn is_rejected<T: std::fmt::Debug>(what: &str, outcome: Result<T, CommitError>) -> Outcome {
    match outcome {
        Err(CommitError::Superseded { .. } | CommitError::Gone { .. }) => Ok(()),
        other => Err(RuleFailure::new(
            format!("{what} to fail with `Superseded` or `Gone`"),
            format!("it returned {other:?}"),
        )),
    }
}

pub(super) async fn unknown_is_none<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let unknown = Node::unknown_token()?;
    for at in 0..4 {
        cluster
            .node(at)
            .is_absent::<S>("a session that was never created", &unknown)
            .await?;
        cluster.settle().await;
    }
    Ok(())
}

pub(super) async fn created_is_found<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let change = |fields: &mut S::Fields| {
        S::visit(fields);
        S::set_note(fields, "\u{fc}ber \0 \r\n");
        S::tag(fields, u64::MAX);
    };
    let token = cluster.node(0).created::<S>(change).await?;
    for at in 0..4 {
        let request = cluster.node(at).found::<S>(&token).await?;
        expect("its visits", S::visits(&request), 1)?;
        expect("its note", S::note(&request), "\u{fc}ber \0 \r\n")?;
        let tags = S::tags(&request);
        ensure(
            *tags == BTreeSet::from([u64::MAX]),
            "its tags to be as they were created",
            || format!("they were {tags:?}"),
        )?;
        // The next load finds what this one has stored in the cache, if there is one.
        cluster.settle().await;
    }
    Ok(())
}

pub(super) async fn destroyed_stays_destroyed<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).created::<S>(S::visit).await?;
    cluster.node(0).visit::<S>(&token).await?;
    let mut late = cluster.node(1).found::<S>(&token).await?;
    let later = cluster.node(0).found::<S>(&token).await?;
    cluster.node(0).found::<S>(&token).await?.destroy().await?;
    for at in 0..2 {
        cluster.node(at).is_absent::<S>("a destroyed session", &token).await?;
    }
    S::visit(&mut late);
    is_gone("a commit after the destroy", late.commit().await)?;
    // A second destroy has nothing to do, and must not restore the session either.
    match later.destroy().await {
        Ok(_) | Err(CommitError::Gone { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    // It must not depend on the tombstone in the cache.
    cluster.settle().await;
    cluster.evict(&token).await?;
    for at in 0..4 {
        cluster.node(at).is_absent::<S>("a destroyed session", &token).await?;
        cluster.settle().await;
    }
    Ok(())
}

pub(super) async fn rotation_has_a_grace<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let old = cluster.node(0).created::<S>(S::visit).await?;
    let mut late = cluster.node(1).found::<S>(&old).await?;
    let new = cluster.node(0).found::<S>(&old).await?.rotate().await?;
    for at in 0..2 {
        has_visits::<S>(cluster, "the visits, by the new secret", at, &new, 1).await?;
        has_visits::<S>(
            cluster,
            "the visits, by the old secret in its grace period",
            at,
            &old,
            1,
        )
        .await?;
    }
    S::visit(&mut late);
    late.commit().await?;
    has_visits::<S>(cluster, "the visits after a commit by the old secret", 0, &new, 2).await?;
    let mut too_late = cluster.node(1).found::<S>(&old).await?;
    cluster.clock.advance(GRACE + SECOND);
    for at in 0..2 {
        has_visits::<S>(
            cluster,
            "the visits, by the new secret after the grace period",
            at,
            &new,
            2,
        )
        .await?;
        let what = "the session by the old secret after its grace period";
        cluster.node(at).is_absent::<S>(what, &old).await?;
    }
    S::visit(&mut too_late);
    is_gone(
        "a commit by the old secret after its grace period",
        too_late.commit().await,
    )?;
    has_visits::<S>(cluster, "the visits", 1, &new, 2).await
}

pub(super) async fn privileged_rotation_has_no_grace<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let old = cluster.node(0).created::<S>(S::visit).await?;
    let mut late = cluster.node(1).found::<S>(&old).await?;
    let thief = cluster.node(1).found::<S>(&old).await?;
    let mut login = cluster.node(0).found::<S>(&old).await?;
    // An owner of its own: what is stored of one was signed by the keys of its nodes.
    S::set_user(&mut login, fastrand::u64(1..));
    let new = login.rotate().await?;
    for at in 0..2 {
        has_visits::<S>(cluster, "the visits, by the new secret", at, &new, 1).await?;
        cluster
            .node(at)
            .is_absent::<S>("the session by the old secret", &old)
            .await?;
    }
    S::visit(&mut late);
    is_rejected("a commit by the old secret", late.commit().await)?;
    is_rejected("a destroy by the old secret", thief.destroy().await)?;
    has_visits::<S>(cluster, "the visits, untouched by the old secret", 1, &new, 1).await
}

pub(super) async fn idle_sessions_expire<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).created::<S>(S::visit).await?;
    cluster.node(0).found::<S>(&token).await?;
    cluster.clock.advance(IDLE.saturating_sub(SECOND));
    has_visits::<S>(cluster, "the visits just before the idle time is over", 1, &token, 1).await?;
    cluster.clock.advance(SECOND);
    for at in 0..4 {
        cluster
            .node(at)
            .is_absent::<S>("a session past its idle time", &token)
            .await?;
        cluster.settle().await;
    }
    Ok(())
}

pub(super) async fn used_sessions_are_renewed<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).created::<S>(S::visit).await?;
    let request = cluster.node(0).found::<S>(&token).await?;
    expect("the commit of a fresh session", request.commit().await?, Commit::Clean)?;
    let pause = IDLE * 3 / 4;
    let mut age = Duration::ZERO;
    while age + pause < MAX_AGE {
        cluster.clock.advance(pause);
        age += pause;
        let request = cluster.node(0).found::<S>(&token).await?;
        let commit = request.commit().await?;
        ensure(
            commit != Commit::Clean || age + IDLE >= MAX_AGE,
            "a session that is used to be renewed",
            || format!("it was not, {pause:?} after the last renewal"),
        )?;
        has_visits::<S>(cluster, "the visits of a session that is used", 1, &token, 1).await?;
    }
    cluster.clock.advance(MAX_AGE.saturating_sub(age));
    cluster
        .node(1)
        .is_absent::<S>("a session past its maximum age", &token)
        .await
}

pub(super) async fn too_large_changes_nothing<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).created::<S>(S::visit).await?;
    let mut request = cluster.node(0).found::<S>(&token).await?;
    S::set_note(&mut request, &"x".repeat(MAX_LEN));
    match request.commit().await {
        Err(CommitError::TooLarge { size, limit, .. }) if size > limit && limit == MAX_LEN => {}
        other => {
            return Err(RuleFailure::new(
                "the commit to fail with `TooLarge`, its size and the limit",
                format!("it returned {other:?}"),
            ));
        }
    }
    for at in 0..2 {
        let request = cluster.node(at).found::<S>(&token).await?;
        expect("the note after a commit that was too large", S::note(&request), "")?;
    }
    cluster.node(1).visit::<S>(&token).await?;
    has_visits::<S>(cluster, "the visits after the next commit", 0, &token, 2).await
}
