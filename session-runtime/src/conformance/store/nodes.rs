//! Several requests on several nodes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::life::has_visits;
use super::sample::Sample;
use super::world::{Node, Ticket, World};
use crate::cascade::CommitError;
use crate::conformance::probe::{Broken, Outcome, cut, ensure, expect, race};

pub(super) async fn writes_are_seen_at_once<S: Sample>(world: &World<'_>) -> Outcome {
    const ROUNDS: u64 = 6;
    let ticket = world.node(0).created::<S>(S::visit).await?;
    for round in 0..ROUNDS {
        let writer = usize::from(!round.is_multiple_of(2));
        // With and without what a reader may have put into the cache just now.
        if round.is_multiple_of(3) {
            world.settle().await;
        }
        world.node(writer).visit::<S>(&ticket).await?;
        for reader in [writer + 1, writer] {
            has_visits::<S>(
                world,
                "the visits after an acknowledged write",
                reader,
                &ticket,
                round + 2,
            )
            .await?;
        }
    }
    Ok(())
}

pub(super) async fn changes_merge<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world.node(0).created::<S>(|fields| S::tag(fields, 0)).await?;
    let mut first = world.node(0).found::<S>(&ticket).await?;
    let mut second = world.node(1).found::<S>(&ticket).await?;
    let mut third = world.node(0).found::<S>(&ticket).await?;
    S::set_note(&mut first.fields, "first");
    S::tag(&mut first.fields, 1);
    S::visit(&mut second.fields);
    S::tag(&mut second.fields, 2);
    S::visit(&mut third.fields);
    first.commit().await?;
    second.commit().await?;
    third.commit().await?;
    for at in 0..2 {
        let visit = world.node(at).found::<S>(&ticket).await?;
        expect("the note, which one has changed", S::note(&visit.fields), "first")?;
        expect("the visits, which two have added to", S::visits(&visit.fields), 2)?;
        let tags = S::tags(&visit.fields);
        ensure(
            *tags == BTreeSet::from([0, 1, 2]),
            "the tags that each has put there",
            || format!("they were {tags:?}"),
        )?;
    }
    Ok(())
}

const ADDITIONS: u64 = 5;

pub(super) async fn additions_are_all_counted<S: Sample>(world: &World<'_>) -> Outcome {
    let ticket = world
        .node(0)
        .created::<S>(|fields| S::set_note(fields, "counted"))
        .await?;
    let ends = race((0..world.options.contenders).map(|at| {
        let (node, ticket) = (world.node(at).clone(), ticket.clone());
        async move {
            for _ in 0..ADDITIONS {
                add::<S>(&node, &ticket).await?;
            }
            Ok::<_, Broken>(ADDITIONS)
        }
    }));
    let total = ends.await?.into_iter().sum::<Result<u64, _>>()?;
    for at in 0..2 {
        has_visits::<S>(world, "the sum of all additions", at, &ticket, total).await?;
    }
    Ok(())
}

/// Adds one visit, and tries again where others were too quick too often.
async fn add<S: Sample>(node: &Node, ticket: &Ticket) -> Outcome {
    const TRIES: usize = 50;
    for _ in 0..TRIES {
        let mut visit = node.found::<S>(ticket).await?;
        S::visit(&mut visit.fields);
        match visit.commit().await {
            Ok(_) => return Ok(()),
            Err(CommitError::Conflict { field: None, .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Broken::new(
        format!("one of {TRIES} tries to be done"),
        "others came first each time",
    ))
}

pub(super) async fn readers_never_go_back<S: Sample>(world: &World<'_>) -> Outcome {
    const WRITES: u64 = 20;
    let ticket = world
        .node(0)
        .created::<S>(|fields| S::set_note(fields, "watched"))
        .await?;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let ends = race((0..world.options.contenders).map(|at| {
        let (node, ticket, acknowledged) = (world.node(at).clone(), ticket.clone(), Arc::clone(&acknowledged));
        async move {
            if at > 0 {
                return watch::<S>(&node, &ticket, &acknowledged, WRITES).await;
            }
            let mut outcome = Ok(());
            for n in 1..=WRITES {
                outcome = add::<S>(&node, &ticket).await;
                if outcome.is_err() {
                    break;
                }
                acknowledged.store(n, Ordering::SeqCst);
            }
            // Whatever happened, the readers are not to wait for more.
            acknowledged.fetch_max(WRITES, Ordering::SeqCst);
            outcome
        }
    }));
    ends.await?.into_iter().collect()
}

async fn watch<S: Sample>(node: &Node, ticket: &Ticket, acknowledged: &AtomicU64, writes: u64) -> Outcome {
    let mut last = 0;
    loop {
        let at_least = acknowledged.load(Ordering::SeqCst);
        let visit = node.found::<S>(ticket).await?;
        let seen = S::visits(&visit.fields);
        ensure(seen >= at_least, "a reader to see what was acknowledged", || {
            format!("it saw {seen} visits after {at_least} were acknowledged")
        })?;
        ensure(seen >= last, "a reader not to go back in time", || {
            format!("it saw {seen} visits after {last}")
        })?;
        last = seen;
        if at_least >= writes {
            return Ok(());
        }
        // Whoever never waits would keep a runtime of one thread from the writer.
        tokio::task::yield_now().await;
    }
}

pub(super) async fn destroy_wins<S: Sample>(world: &World<'_>) -> Outcome {
    const ROUNDS: usize = 5;
    for round in 0..ROUNDS {
        let ticket = world.node(0).created::<S>(S::visit).await?;
        let ends = race((0..world.options.contenders).map(|at| {
            let (node, ticket) = (world.node(at).clone(), ticket.clone());
            async move {
                if at == round {
                    return destroy::<S>(&node, &ticket).await;
                }
                let Some(mut visit) = node.load::<S>(&ticket).await? else {
                    return Ok(());
                };
                S::visit(&mut visit.fields);
                match visit.commit().await {
                    Ok(_) | Err(CommitError::Gone { .. } | CommitError::Conflict { field: None, .. }) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
        }));
        ends.await?.into_iter().collect::<Result<(), Broken>>()?;
        if round >= world.options.contenders {
            continue;
        }
        for at in 0..2 {
            let what = "a session that was destroyed while others committed";
            world.node(at).is_absent::<S>(what, &ticket).await?;
        }
        world.settle().await;
        world.evict(&ticket).await?;
        let what = "the same session, once the cache had forgotten it";
        world.node(0).is_absent::<S>(what, &ticket).await?;
    }
    Ok(())
}

async fn destroy<S: Sample>(node: &Node, ticket: &Ticket) -> Outcome {
    const TRIES: usize = 50;
    for _ in 0..TRIES {
        match node.found::<S>(ticket).await?.destroy().await {
            Ok(_) => return Ok(()),
            Err(CommitError::Conflict { field: None, .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Broken::new(
        format!("one of {TRIES} destroys to be done"),
        "commits came first each time",
    ))
}

/// A client that hangs up drops its request anywhere: a commit that has begun goes on to its end.
pub(super) async fn dropped_requests_do_no_harm<S: Sample>(world: &World<'_>) -> Outcome {
    const POLLS: usize = 6;
    let ticket = world.node(0).created::<S>(S::visit).await?;
    let mut visits = 1;
    for polls in 0..POLLS {
        cut(world.node(polls).load::<S>(&ticket), polls).await;
        let mut visit = world.node(polls).found::<S>(&ticket).await?;
        S::visit(&mut visit.fields);
        cut(visit.commit(), polls).await;
        visits += u64::from(polls > 0);
        world.settle().await;
        has_visits::<S>(
            world,
            "the visits after a commit was dropped",
            polls + 1,
            &ticket,
            visits,
        )
        .await?;
        world.evict_if_it_may(&ticket, S::TIERS).await?;
    }
    Ok(())
}
