//! The number of calls to the tiers.

use super::cluster::{Cluster, MAX_STALENESS, Node, has};
use super::life::{SECOND, has_visits};
use super::sample::Sample;
use crate::cascade::Commit;
use crate::conformance::probe::{Outcome, ensure, expect};
use crate::tier::Tiers;

pub(super) async fn nothing_leaves_the_request<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).create::<S>(S::visit).await?;
    ensure(token.is_none(), "the client to get no token", || {
        "it got one".to_owned()
    })?;
    // Nor is a tier called for a client that presents a token.
    let token = Node::unknown_token()?;
    cluster
        .node(1)
        .is_absent::<S>("a session in the request tier", &token)
        .await?;
    expect("the calls of the cache and the durable tier", cluster.calls(), (0, 0))
}

pub(super) async fn clean_sessions_are_not_written<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).created::<S>(S::visit).await?;
    let untouched = cluster.node(0).found::<S>(&token).await?;
    let mut touched = cluster.node(1).found::<S>(&token).await?;
    cluster.settle().await;
    let before = cluster.calls();
    S::touch(&mut touched);
    for request in [untouched, touched] {
        expect(
            "the commit of a session that was not changed",
            request.commit().await?,
            Commit::Clean,
        )?;
    }
    cluster.settle().await;
    expect("the calls of the cache and the durable tier", cluster.calls(), before)
}

pub(super) async fn other_tiers_are_not_called<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).created::<S>(S::visit).await?;
    cluster.node(0).visit::<S>(&token).await?;
    has_visits::<S>(cluster, "the visits", 1, &token, 2).await?;
    cluster.node(1).found::<S>(&token).await?.destroy().await?;
    cluster.node(0).is_absent::<S>("a destroyed session", &token).await?;
    cluster.settle().await;
    let (cache, durable) = cluster.calls();
    ensure(
        has::<S>(Tiers::MEMCACHE) == (cache > 0),
        "the cache to be called only if the session names it",
        || format!("it was called {cache} times"),
    )?;
    ensure(
        has::<S>(Tiers::DATASTORE) == (durable > 0),
        "the durable tier to be called only if the session names it",
        || format!("it was called {durable} times"),
    )
}

/// The load is not counted.
pub(super) async fn a_write_is_one_durable_call<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).created::<S>(S::visit).await?;
    for _ in 0..3 {
        let mut request = cluster.node(0).found::<S>(&token).await?;
        cluster.settle().await;
        let (_, before) = cluster.calls();
        S::visit(&mut request);
        request.commit().await?;
        cluster.settle().await;
        expect("the calls of the durable tier", cluster.calls().1 - before, 1)?;
    }
    Ok(())
}

pub(super) async fn a_hit_is_one_cache_call<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).created::<S>(S::visit).await?;
    cluster.node(0).found::<S>(&token).await?;
    cluster.settle().await;
    hit::<S>(cluster, &token, "after another node's read").await?;
    cluster.node(0).visit::<S>(&token).await?;
    cluster.settle().await;
    hit::<S>(cluster, &token, "after another node's write").await
}

async fn hit<S: Sample>(cluster: &Cluster<'_>, token: &crate::request::SessionToken, when: &str) -> Outcome {
    let before = cluster.calls();
    cluster.node(1).found::<S>(token).await?;
    cluster.settle().await;
    let after = cluster.calls();
    let cost = (after.0 - before.0, after.1 - before.1);
    expect(
        &format!("the calls of the cache and the durable tier for a load {when}"),
        cost,
        (1, 0),
    )
}

pub(super) async fn stale_values_are_not_used<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).created::<S>(S::visit).await?;
    cluster.node(0).found::<S>(&token).await?;
    cluster.settle().await;
    cluster.clock.advance(MAX_STALENESS + SECOND);
    let (_, before) = cluster.calls();
    cluster.node(1).found::<S>(&token).await?;
    cluster.settle().await;
    expect("the calls of the durable tier", cluster.calls().1 - before, 1)?;
    hit::<S>(cluster, &token, "after that load").await
}
