//! Evictions, outages, and items that another program has stored in the cache.

use bytes::Bytes;

use super::cluster::{Cluster, has, now};
use super::life::{has_visits, is_gone};
use super::sample::Sample;
use crate::cascade::{Commit, CommitError, LoadError};
use crate::conformance::probe::{Outcome, RuleFailure, ensure};
use crate::tier::Tiers;

pub(super) async fn eviction_loses_nothing<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).created::<S>(S::visit).await?;
    cluster.evict(&token).await?;
    has_visits::<S>(cluster, "the visits after the creation was evicted", 1, &token, 1).await?;
    cluster.settle().await;
    cluster.evict(&token).await?;
    has_visits::<S>(cluster, "the visits after the fill was evicted", 0, &token, 1).await?;
    let mut request = cluster.node(0).found::<S>(&token).await?;
    cluster.settle().await;
    cluster.evict(&token).await?;
    S::visit(&mut request);
    request.commit().await?;
    for at in 0..2 {
        has_visits::<S>(
            cluster,
            "the visits after an eviction between load and commit",
            at,
            &token,
            2,
        )
        .await?;
    }
    cluster.settle().await;
    cluster.evict(&token).await?;
    has_visits::<S>(
        cluster,
        "the visits after the committed value was evicted",
        1,
        &token,
        2,
    )
    .await
}

pub(super) async fn eviction_is_a_new_session<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).created::<S>(S::visit).await?;
    let mut late = cluster.node(1).found::<S>(&token).await?;
    cluster.evict(&token).await?;
    for at in 0..2 {
        cluster.node(at).is_absent::<S>("an evicted session", &token).await?;
    }
    // A request that loaded it before the eviction must not restore it.
    S::visit(&mut late);
    is_gone("a commit to an evicted session", late.commit().await)?;
    cluster.node(0).is_absent::<S>("an evicted session", &token).await
}

pub(super) async fn foreign_items_are_not_served<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).created::<S>(S::visit).await?;
    let other = cluster
        .node(0)
        .created::<S>(|fields| S::set_note(fields, "other"))
        .await?;
    cluster.node(0).found::<S>(&other).await?;
    cluster.settle().await;
    let swapped = cluster.cached(&other).await?;
    for foreign in [
        Some(Bytes::from_static(b"\xd9\xd9\xf7 no record")),
        Some(Bytes::new()),
        swapped,
    ] {
        let Some(foreign) = foreign else {
            return Err(RuleFailure::new("a session to be cached after a load", "it was not"));
        };
        cluster.overwrite(&token, foreign).await?;
        if has::<S>(Tiers::DATASTORE) {
            has_visits::<S>(cluster, "the visits, with a foreign item in the cache", 1, &token, 1).await?;
            cluster.settle().await;
        } else {
            cluster.node(1).is_absent::<S>("a foreign item", &token).await?;
        }
    }
    Ok(())
}

pub(super) async fn an_outage_is_no_logout<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).created::<S>(S::visit).await?;
    let mut request = cluster.node(0).found::<S>(&token).await?;
    cluster.settle().await;
    cluster.evict_unless_authoritative(&token, S::TIERS).await?;
    let authority = if has::<S>(Tiers::DATASTORE) {
        &cluster.durable
    } else {
        &cluster.cache
    };
    authority.set_down(true);
    for at in 0..2 {
        match cluster.node(at).load::<S>(&token).await {
            Err(LoadError::Unavailable { source: Some(_), .. }) => {}
            other => {
                return Err(RuleFailure::new(
                    "a load during the outage to fail with `Unavailable` and its cause",
                    format!(
                        "it returned {:?}",
                        other.map(|found| found.map(|request| request.report))
                    ),
                ));
            }
        }
    }
    S::visit(&mut request);
    let outcome = request.commit().await;
    let is_unavailable =
        |error: &CommitError| matches!(error, CommitError::Unavailable { .. } | CommitError::Unknown { .. });
    ensure(
        outcome.as_ref().is_err_and(is_unavailable),
        "a commit during the outage to fail with `Unavailable` or `Unknown`",
        || format!("it returned {outcome:?}"),
    )?;
    let outcome = cluster.node(0).create::<S>(S::visit).await;
    ensure(outcome.is_err(), "a creation during the outage to fail", || {
        "it succeeded".to_owned()
    })?;
    authority.set_down(false);
    for at in 0..2 {
        has_visits::<S>(cluster, "the visits after the outage", at, &token, 1).await?;
    }
    cluster.node(1).visit::<S>(&token).await?;
    has_visits::<S>(cluster, "the visits after the next commit", 0, &token, 2).await
}

pub(super) async fn the_cache_can_be_down<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).created::<S>(S::visit).await?;
    // Now the session is cached.
    has_visits::<S>(cluster, "the visits", 1, &token, 1).await?;
    cluster.settle().await;
    cluster.cache.set_down(true);
    let mut request = cluster.node(0).found::<S>(&token).await?;
    ensure(request.report.degraded, "the load to be reported as degraded", || {
        format!("it was {:?}", request.report)
    })?;
    S::visit(&mut request);
    match request.commit().await? {
        Commit::Unfenced { until } if until > now(cluster) => {}
        other => {
            return Err(RuleFailure::new(
                "a commit that could not hide the old value to be `Unfenced`",
                format!("it was {other:?}"),
            ));
        }
    }
    for at in 0..2 {
        has_visits::<S>(cluster, "the visits while the cache is down", at, &token, 2).await?;
    }
    cluster.cache.set_down(false);
    // The old value, which could not be hidden during the outage, is hidden now.
    cluster.end().await;
    for at in 0..2 {
        has_visits::<S>(cluster, "the visits after the outage", at, &token, 2).await?;
    }
    Ok(())
}

pub(super) async fn hits_survive_an_outage_of_the_durable_tier<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).created::<S>(S::visit).await?;
    cluster.node(0).found::<S>(&token).await?;
    cluster.settle().await;
    cluster.durable.set_down(true);
    has_visits::<S>(cluster, "the visits while the durable tier is down", 1, &token, 1).await?;
    let mut request = cluster.node(1).found::<S>(&token).await?;
    S::visit(&mut request);
    let outcome = request.commit().await;
    ensure(
        matches!(
            outcome,
            Err(CommitError::Unavailable { .. } | CommitError::Unknown { .. })
        ),
        "a commit while the durable tier is down to fail with `Unavailable` or `Unknown`",
        || format!("it returned {outcome:?}"),
    )?;
    cluster.durable.set_down(false);
    for at in 0..2 {
        has_visits::<S>(cluster, "the visits after the outage", at, &token, 1).await?;
    }
    Ok(())
}
