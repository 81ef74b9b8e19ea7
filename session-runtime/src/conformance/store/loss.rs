//! Caches that forget, tiers that are down, items that others have put there.

use bytes::Bytes;

use super::life::{has_visits, is_gone};
use super::sample::Sample;
use super::world::{World, has, now};
use crate::cascade::{Commit, CommitError, LoadError};
use crate::conformance::probe::{Broken, Outcome, ensure};
use crate::tier::Tiers;

pub(super) async fn eviction_loses_nothing<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).created::<S>(S::visit).await?;
    world.evict(&ticket).await?;
    has_visits::<S>(world, "the visits after the creation was evicted", 1, &ticket, 1).await?;
    world.settle().await;
    world.evict(&ticket).await?;
    has_visits::<S>(world, "the visits after the fill was evicted", 0, &ticket, 1).await?;
    let mut visit = world.node(0).found::<S>(&ticket).await?;
    world.settle().await;
    world.evict(&ticket).await?;
    S::visit(&mut visit.fields);
    visit.commit().await?;
    for at in 0..2 {
        has_visits::<S>(
            world,
            "the visits after an eviction between load and commit",
            at,
            &ticket,
            2,
        )
        .await?;
    }
    world.settle().await;
    world.evict(&ticket).await?;
    has_visits::<S>(world, "the visits after the committed value was evicted", 1, &ticket, 2).await
}

pub(super) async fn eviction_is_a_new_session<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).created::<S>(S::visit).await?;
    let mut late = world.node(1).found::<S>(&ticket).await?;
    world.evict(&ticket).await?;
    for at in 0..2 {
        world.node(at).is_absent::<S>("an evicted session", &ticket).await?;
    }
    // Half of it must not come back with a writer that still knew it.
    S::visit(&mut late.fields);
    is_gone("a commit to an evicted session", late.commit().await)?;
    world.node(0).is_absent::<S>("an evicted session", &ticket).await
}

pub(super) async fn foreign_items_are_not_served<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).created::<S>(S::visit).await?;
    let other = world
        .node(0)
        .created::<S>(|fields| S::set_note(fields, "other"))
        .await?;
    world.node(0).found::<S>(&other).await?;
    world.settle().await;
    let swapped = world.cached(&other.key).await?;
    for foreign in [
        Some(Bytes::from_static(b"\xd9\xd9\xf7 no record")),
        Some(Bytes::new()),
        swapped,
    ] {
        let Some(foreign) = foreign else {
            return Err(Broken::new("a session that was read to be in the cache", "it was not"));
        };
        world.spoil(&ticket.key, foreign).await?;
        if has::<S>(Tiers::DATASTORE) {
            has_visits::<S>(world, "the visits, with a foreign item in the cache", 1, &ticket, 1).await?;
            world.settle().await;
        } else {
            world.node(1).is_absent::<S>("a foreign item", &ticket).await?;
        }
    }
    Ok(())
}

pub(super) async fn an_outage_is_no_logout<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).created::<S>(S::visit).await?;
    let mut visit = world.node(0).found::<S>(&ticket).await?;
    world.settle().await;
    world.evict_if_it_may(&ticket, S::TIERS).await?;
    let authority = if has::<S>(Tiers::DATASTORE) {
        &world.durable
    } else {
        &world.cache
    };
    authority.set_down(true);
    for at in 0..2 {
        match world.node(at).load::<S>(&ticket).await {
            Err(LoadError::Unavailable { source: Some(_), .. }) => {}
            other => {
                return Err(Broken::new(
                    "a load during the outage to fail, with its cause",
                    format!("it gave {:?}", other.map(|visit| visit.map(|visit| visit.report))),
                ));
            }
        }
    }
    S::visit(&mut visit.fields);
    let outcome = visit.commit().await;
    let is_unavailable =
        |error: &CommitError| matches!(error, CommitError::Unavailable { .. } | CommitError::Unknown { .. });
    ensure(
        outcome.as_ref().is_err_and(is_unavailable),
        "a commit during the outage to fail",
        || format!("it gave {outcome:?}"),
    )?;
    let outcome = world.node(0).create::<S>(S::visit).await;
    ensure(outcome.is_err(), "a creation during the outage to fail", || {
        "it was done".to_owned()
    })?;
    authority.set_down(false);
    for at in 0..2 {
        has_visits::<S>(world, "the visits after the outage", at, &ticket, 1).await?;
    }
    world.node(1).visit::<S>(&ticket).await?;
    has_visits::<S>(world, "the visits after the next commit", 0, &ticket, 2).await
}

pub(super) async fn the_cache_can_be_down<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).created::<S>(S::visit).await?;
    // The other node's next look would find this one in the cache.
    has_visits::<S>(world, "the visits", 1, &ticket, 1).await?;
    world.settle().await;
    world.cache.set_down(true);
    let mut visit = world.node(0).found::<S>(&ticket).await?;
    ensure(
        visit.report.degraded,
        "the report to say that the cache has failed",
        || format!("it was {:?}", visit.report),
    )?;
    S::visit(&mut visit.fields);
    match visit.commit().await? {
        Commit::Unfenced { until } if until > now(world) => {}
        other => {
            return Err(Broken::new(
                "a commit that could not hide the old value to say so",
                format!("it was {other:?}"),
            ));
        }
    }
    for at in 0..2 {
        has_visits::<S>(world, "the visits while the cache is down", at, &ticket, 2).await?;
    }
    world.cache.set_down(false);
    // What could not be hidden then is hidden now.
    world.end().await;
    for at in 0..2 {
        has_visits::<S>(world, "the visits after the outage", at, &ticket, 2).await?;
    }
    Ok(())
}

pub(super) async fn hits_survive_the_durable_tier<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).created::<S>(S::visit).await?;
    world.node(0).found::<S>(&ticket).await?;
    world.settle().await;
    world.durable.set_down(true);
    has_visits::<S>(world, "the visits while the durable tier is down", 1, &ticket, 1).await?;
    let mut visit = world.node(1).found::<S>(&ticket).await?;
    S::visit(&mut visit.fields);
    let outcome = visit.commit().await;
    ensure(
        matches!(
            outcome,
            Err(CommitError::Unavailable { .. } | CommitError::Unknown { .. })
        ),
        "a commit while the durable tier is down to fail",
        || format!("it gave {outcome:?}"),
    )?;
    world.durable.set_down(false);
    for at in 0..2 {
        has_visits::<S>(world, "the visits after the outage", at, &ticket, 1).await?;
    }
    Ok(())
}
