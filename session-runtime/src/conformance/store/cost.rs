//! What sessions cost.

use super::life::{SECOND, has_visits};
use super::sample::Sample;
use super::world::{MAX_STALENESS, World, has};
use crate::cascade::Commit;
use crate::conformance::probe::{Outcome, ensure, expect};
use crate::tier::Tiers;

pub(super) async fn nothing_leaves_the_request<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).create::<S>(S::visit).await?;
    ensure(ticket.is_none(), "nothing to give to the browser", || {
        "there was a secret for it".to_owned()
    })?;
    // Not even where it shows a cookie all the same.
    let ticket = world.node(0).ticket();
    world
        .node(1)
        .is_absent::<S>("a session of the request's memory", &ticket)
        .await?;
    expect("the calls of the cache and the durable tier", world.calls(), (0, 0))
}

pub(super) async fn clean_sessions_are_not_written<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).created::<S>(S::visit).await?;
    let untouched = world.node(0).found::<S>(&ticket).await?;
    let mut touched = world.node(1).found::<S>(&ticket).await?;
    world.settle().await;
    let before = world.calls();
    S::touch(&mut touched.fields);
    for visit in [untouched, touched] {
        expect(
            "the commit of a session that was not changed",
            visit.commit().await?,
            Commit::Clean,
        )?;
    }
    world.settle().await;
    expect("the calls of the cache and the durable tier", world.calls(), before)
}

pub(super) async fn other_tiers_are_not_asked<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).created::<S>(S::visit).await?;
    world.node(0).visit::<S>(&ticket).await?;
    has_visits::<S>(world, "the visits", 1, &ticket, 2).await?;
    world.node(1).found::<S>(&ticket).await?.destroy().await?;
    world.node(0).is_absent::<S>("a destroyed session", &ticket).await?;
    world.settle().await;
    let (cache, durable) = world.calls();
    ensure(
        has::<S>(Tiers::MEMCACHE) == (cache > 0),
        "the cache to be asked where it is named",
        || format!("it was asked {cache} times"),
    )?;
    ensure(
        has::<S>(Tiers::DATASTORE) == (durable > 0),
        "the durable tier to be asked where it is named",
        || format!("it was asked {durable} times"),
    )
}

/// After the load, as part of the whole commit: fence, write, and a look at the cache before the caller is told.
pub(super) async fn a_write_is_one_durable_call<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).created::<S>(S::visit).await?;
    for _ in 0..3 {
        let mut visit = world.node(0).found::<S>(&ticket).await?;
        world.settle().await;
        let (_, before) = world.calls();
        S::visit(&mut visit.fields);
        visit.commit().await?;
        world.settle().await;
        expect("the calls of the durable tier", world.calls().1 - before, 1)?;
    }
    Ok(())
}

pub(super) async fn a_hit_is_one_cache_call<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).created::<S>(S::visit).await?;
    world.node(0).found::<S>(&ticket).await?;
    world.settle().await;
    hit::<S>(world, &ticket, "after another node's read").await?;
    world.node(0).visit::<S>(&ticket).await?;
    world.settle().await;
    hit::<S>(world, &ticket, "after another node's write").await
}

async fn hit<S: Sample>(world: &World<'_>, ticket: &super::world::Ticket, when: &str) -> Outcome {
    let before = world.calls();
    world.node(1).found::<S>(ticket).await?;
    world.settle().await;
    let after = world.calls();
    let cost = (after.0 - before.0, after.1 - before.1);
    expect(
        &format!("the calls of cache and durable tier for a read {when}"),
        cost,
        (1, 0),
    )
}

pub(super) async fn stale_values_are_not_believed<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).created::<S>(S::visit).await?;
    world.node(0).found::<S>(&ticket).await?;
    world.settle().await;
    world.clock.advance(MAX_STALENESS + SECOND);
    let (_, before) = world.calls();
    world.node(1).found::<S>(&ticket).await?;
    world.settle().await;
    expect("the calls of the durable tier", world.calls().1 - before, 1)?;
    hit::<S>(world, &ticket, "after that").await
}
