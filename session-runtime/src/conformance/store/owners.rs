//! The sessions of an owner: listed, limited, and ended for good.

use std::collections::BTreeSet;

use super::cluster::{Cluster, MAX_SESSIONS, Node};
use super::sample::OwnedSample;
use crate::cascade::CommitError;
use crate::conformance::probe::{Outcome, RuleFailure, ensure, expect};
use crate::request::{DeviceId, SessionToken};

/// An owner that no other rule has had: its record would be signed by other keys.
fn somebody() -> u64 {
    fastrand::u64(1..)
}

/// Creates a session that is signed in to.
async fn signed_in<S: OwnedSample>(node: &Node, user: u64) -> Result<SessionToken, RuleFailure> {
    node.created::<S>(|fields| S::set_user(fields, user)).await
}

/// What the list of an owner's sessions has.
async fn listed<S: OwnedSample>(node: &Node, user: u64) -> Result<BTreeSet<String>, RuleFailure> {
    let devices = node.owner::<S>(user).sessions().await?;
    Ok(devices.iter().map(|device| device.id.to_string()).collect())
}

fn ids<'a>(cluster: &Cluster<'_>, tokens: impl IntoIterator<Item = &'a SessionToken>) -> BTreeSet<String> {
    let id = |token| DeviceId::of_key(&cluster.key(token)).to_string();
    tokens.into_iter().map(id).collect()
}

pub(super) async fn sign_ins_are_listed<S: OwnedSample>(cluster: &Cluster<'_>) -> Outcome {
    let (user, other) = (somebody(), somebody());
    let mut tokens = Vec::new();
    for at in 0..3 {
        tokens.push(signed_in::<S>(cluster.node(at), user).await?);
    }
    signed_in::<S>(cluster.node(0), other).await?;
    let visitor = cluster.node(0).created::<S>(S::visit).await?;
    let mut login = cluster.node(1).found::<S>(&visitor).await?;
    S::set_user(&mut login, user);
    tokens.push(login.rotate().await?);
    for at in 0..2 {
        let found = listed::<S>(cluster.node(at), user).await?;
        expect("the sessions of an owner", found, ids(cluster, &tokens))?;
    }
    if let Some(leaving) = tokens.pop() {
        cluster.node(0).found::<S>(&leaving).await?.destroy().await?;
    }
    let found = listed::<S>(cluster.node(1), user).await?;
    expect("the sessions after one was destroyed", found, ids(cluster, &tokens))
}

pub(super) async fn ended_sessions_stay_ended<S: OwnedSample>(cluster: &Cluster<'_>) -> Outcome {
    let (user, other) = (somebody(), somebody());
    let mut tokens = Vec::new();
    for at in 0..4 {
        let token = signed_in::<S>(cluster.node(at), user).await?;
        // In the cache of both nodes, where there is one.
        cluster.node(at + 1).found::<S>(&token).await?;
        tokens.push(token);
    }
    let bystander = signed_in::<S>(cluster.node(0), other).await?;
    let ended = cluster.node(1).owner::<S>(user).end_all().await?;
    expect("the number of sessions that have ended", ended.count, tokens.len())?;
    for token in &tokens {
        for at in 0..2 {
            let what = "a session whose owner has ended all";
            cluster.node(at).is_absent::<S>(what, token).await?;
        }
    }
    cluster.settle().await;
    for token in &tokens {
        cluster.evict(token).await?;
        let what = "a session whose owner has ended all, without its tombstone";
        cluster.node(0).is_absent::<S>(what, token).await?;
    }
    cluster.node(0).found::<S>(&bystander).await?;
    expect(
        "the sessions that are left",
        listed::<S>(cluster.node(0), user).await?,
        BTreeSet::new(),
    )?;
    let again = signed_in::<S>(cluster.node(0), user).await?;
    cluster.node(1).found::<S>(&again).await?;
    Ok(())
}

pub(super) async fn one_session_ends<S: OwnedSample>(cluster: &Cluster<'_>) -> Outcome {
    let user = somebody();
    let (ending, staying) = (
        signed_in::<S>(cluster.node(0), user).await?,
        signed_in::<S>(cluster.node(1), user).await?,
    );
    let device = DeviceId::of_key(&cluster.key(&ending));
    let has_ended = cluster.node(1).owner::<S>(user).end(device).await?;
    ensure(has_ended, "a listed session to be ended", || {
        "it was not found".to_owned()
    })?;
    for at in 0..2 {
        cluster
            .node(at)
            .is_absent::<S>("a session that was ended", &ending)
            .await?;
        cluster.node(at).found::<S>(&staying).await?;
    }
    expect(
        "the sessions that are left",
        listed::<S>(cluster.node(0), user).await?,
        ids(cluster, [&staying]),
    )
}

pub(super) async fn the_limit_holds<S: OwnedSample>(cluster: &Cluster<'_>) -> Outcome {
    let user = somebody();
    let mut tokens = Vec::new();
    for at in 0..=MAX_SESSIONS {
        tokens.push(signed_in::<S>(cluster.node(at), user).await?);
        cluster.clock.advance(super::life::SECOND);
    }
    for at in 0..2 {
        let what = "the session of the oldest sign-in, beyond the limit";
        cluster.node(at).is_absent::<S>(what, &tokens[0]).await?;
        cluster.node(at).found::<S>(&tokens[1]).await?;
    }
    expect(
        "the sessions",
        listed::<S>(cluster.node(0), user).await?,
        ids(cluster, &tokens[1..]),
    )
}

/// Sign-ins on both nodes, to new sessions and to those of visitors, and an end in the middle.
pub(super) async fn no_sign_in_escapes_an_end<S: OwnedSample>(cluster: &Cluster<'_>) -> Outcome {
    const SIGN_INS: usize = 6;
    let user = somebody();
    for delay in 0..cluster.options.concurrency.min(8) {
        let epoch = cluster.node(0).owner::<S>(user).epoch().await?;
        let mut visitors = Vec::new();
        for at in 0..SIGN_INS {
            visitors.push(cluster.node(at).created::<S>(S::visit).await?);
        }
        let sign_in = async |at: usize| -> Result<Option<SessionToken>, RuleFailure> {
            let visitor = visitors.get(at).filter(|_| at.is_multiple_of(2));
            let signed_in = cluster.node(at / 2).sign_in::<S>(visitor, user, epoch).await;
            match signed_in {
                Ok(token) => Ok(token),
                Err(
                    CommitError::SignInEnded { .. }
                    | CommitError::Gone { .. }
                    | CommitError::Superseded { .. }
                    | CommitError::Conflict { .. },
                ) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        let end = async {
            for _ in 0..delay {
                tokio::task::yield_now().await;
            }
            cluster.node(1).owner::<S>(user).end_all().await
        };
        let (one, two, three, four, five, six, ended) = tokio::join!(
            sign_in(0),
            sign_in(1),
            sign_in(2),
            sign_in(3),
            sign_in(4),
            sign_in(5),
            end
        );
        ended?;
        for token in [one?, two?, three?, four?, five?, six?].into_iter().flatten() {
            for at in 0..2 {
                let what = "a session whose sign-in began before its owner ended all";
                cluster.node(at).is_absent::<S>(what, &token).await?;
            }
        }
    }
    Ok(())
}
