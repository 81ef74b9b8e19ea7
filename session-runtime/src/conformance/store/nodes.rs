//! Concurrent requests on two nodes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cluster::{Cluster, Node};
use super::life::has_visits;
use super::sample::Sample;
use crate::cascade::CommitError;
use crate::conformance::probe::{Outcome, RuleFailure, cancel_after, ensure, expect, race};
use crate::request::SessionToken;

pub(super) async fn writes_are_seen_at_once<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    const ROUNDS: u64 = 6;
    let token = cluster.node(0).created::<S>(S::visit).await?;
    for round in 0..ROUNDS {
        let writer = usize::from(!round.is_multiple_of(2));
        // Every third write waits until the readers before it have filled the cache.
        if round.is_multiple_of(3) {
            cluster.settle().await;
        }
        cluster.node(writer).visit::<S>(&token).await?;
        for reader in [writer + 1, writer] {
            has_visits::<S>(
                cluster,
                "the visits after an acknowledged write",
                reader,
                &token,
                round + 2,
            )
            .await?;
        }
    }
    Ok(())
}

pub(super) async fn changes_merge<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster.node(0).created::<S>(|fields| S::tag(fields, 0)).await?;
    let mut first = cluster.node(0).found::<S>(&token).await?;
    let mut second = cluster.node(1).found::<S>(&token).await?;
    let mut third = cluster.node(0).found::<S>(&token).await?;
    S::set_note(&mut first, "first");
    S::tag(&mut first, 1);
    S::visit(&mut second);
    S::tag(&mut second, 2);
    S::visit(&mut third);
    first.commit().await?;
    second.commit().await?;
    third.commit().await?;
    for at in 0..2 {
        let request = cluster.node(at).found::<S>(&token).await?;
        expect("the note, which one request has changed", S::note(&request), "first")?;
        expect("the visits, which two requests have added to", S::visits(&request), 2)?;
        let tags = S::tags(&request);
        ensure(
            *tags == BTreeSet::from([0, 1, 2]),
            "the tags to be those of every request",
            || format!("they were {tags:?}"),
        )?;
    }
    Ok(())
}

const ADDITIONS: u64 = 5;

pub(super) async fn additions_are_all_counted<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    let token = cluster
        .node(0)
        .created::<S>(|fields| S::set_note(fields, "counted"))
        .await?;
    let ends = race((0..cluster.options.concurrency).map(|at| {
        let (node, token) = (cluster.node(at).clone(), token);
        async move {
            for _ in 0..ADDITIONS {
                add::<S>(&node, &token).await?;
            }
            Ok::<_, RuleFailure>(ADDITIONS)
        }
    }));
    let total = ends.await?.into_iter().sum::<Result<u64, _>>()?;
    for at in 0..2 {
        has_visits::<S>(cluster, "the sum of all additions", at, &token, total).await?;
    }
    Ok(())
}

/// Adds one visit, and tries again where the session was too contended.
async fn add<S: Sample>(node: &Node, token: &SessionToken) -> Outcome {
    const TRIES: usize = 50;
    for _ in 0..TRIES {
        let mut request = node.found::<S>(token).await?;
        S::visit(&mut request);
        match request.commit().await {
            Ok(_) => return Ok(()),
            Err(CommitError::Conflict { field: None, .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(RuleFailure::new(
        format!("one of {TRIES} commits to succeed"),
        "other requests were first each time",
    ))
}

pub(super) async fn readers_never_go_back<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    const WRITES: u64 = 20;
    let token = cluster
        .node(0)
        .created::<S>(|fields| S::set_note(fields, "watched"))
        .await?;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let ends = race((0..cluster.options.concurrency).map(|at| {
        let (node, token, acknowledged) = (cluster.node(at).clone(), token, Arc::clone(&acknowledged));
        async move {
            if at > 0 {
                return read_until_written::<S>(&node, &token, &acknowledged, WRITES).await;
            }
            let mut outcome = Ok(());
            for n in 1..=WRITES {
                outcome = add::<S>(&node, &token).await;
                if outcome.is_err() {
                    break;
                }
                acknowledged.store(n, Ordering::SeqCst);
            }
            // Ends the readers even if a write failed.
            acknowledged.fetch_max(WRITES, Ordering::SeqCst);
            outcome
        }
    }));
    ends.await?.into_iter().collect()
}

async fn read_until_written<S: Sample>(
    node: &Node,
    token: &SessionToken,
    acknowledged: &AtomicU64,
    writes: u64,
) -> Outcome {
    let mut last = 0;
    loop {
        let acknowledged_before = acknowledged.load(Ordering::SeqCst);
        let request = node.found::<S>(token).await?;
        let seen = S::visits(&request);
        ensure(
            seen >= acknowledged_before,
            "a reader to see what was acknowledged",
            || format!("it saw {seen} visits after {acknowledged_before} were acknowledged"),
        )?;
        ensure(seen >= last, "a reader not to see less than before", || {
            format!("it saw {seen} visits after {last}")
        })?;
        last = seen;
        if acknowledged_before >= writes {
            return Ok(());
        }
        // On a runtime of one thread, a reader that never waits would starve the writer.
        tokio::task::yield_now().await;
    }
}

pub(super) async fn destroy_wins<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    const ROUNDS: usize = 5;
    for round in 0..ROUNDS {
        let token = cluster.node(0).created::<S>(S::visit).await?;
        let ends = race((0..cluster.options.concurrency).map(|at| {
            let (node, token) = (cluster.node(at).clone(), token);
            async move {
                if at == round {
                    return destroy::<S>(&node, &token).await;
                }
                let Some(mut request) = node.load::<S>(&token).await? else {
                    return Ok(());
                };
                S::visit(&mut request);
                match request.commit().await {
                    Ok(_) | Err(CommitError::Gone { .. } | CommitError::Conflict { field: None, .. }) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
        }));
        ends.await?.into_iter().collect::<Result<(), RuleFailure>>()?;
        if round >= cluster.options.concurrency {
            continue;
        }
        for at in 0..2 {
            let what = "a session that was destroyed while others committed";
            cluster.node(at).is_absent::<S>(what, &token).await?;
        }
        cluster.settle().await;
        cluster.evict(&token).await?;
        let what = "the same session after its eviction";
        cluster.node(0).is_absent::<S>(what, &token).await?;
    }
    Ok(())
}

async fn destroy<S: Sample>(node: &Node, token: &SessionToken) -> Outcome {
    const TRIES: usize = 50;
    for _ in 0..TRIES {
        match node.found::<S>(token).await?.destroy().await {
            Ok(_) => return Ok(()),
            Err(CommitError::Conflict { field: None, .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(RuleFailure::new(
        format!("one of {TRIES} destroys to succeed"),
        "commits were first each time",
    ))
}

/// A client that disconnects cancels its request at any await: a commit that has begun is completed.
pub(super) async fn cancelled_requests_do_no_harm<S: Sample>(cluster: &Cluster<'_>) -> Outcome {
    const POLLS: usize = 6;
    let token = cluster.node(0).created::<S>(S::visit).await?;
    let mut visits = 1;
    for polls in 0..POLLS {
        cancel_after(cluster.node(polls).load::<S>(&token), polls).await;
        let mut request = cluster.node(polls).found::<S>(&token).await?;
        S::visit(&mut request);
        cancel_after(request.commit(), polls).await;
        visits += u64::from(polls > 0);
        cluster.settle().await;
        has_visits::<S>(
            cluster,
            "the visits after a commit was cancelled",
            polls + 1,
            &token,
            visits,
        )
        .await?;
        cluster.evict_unless_authoritative(&token, S::TIERS).await?;
    }
    Ok(())
}
