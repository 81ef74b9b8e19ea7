//! The part of the application under attack that has owners: who is signed in where, and ends that.

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use session_runtime::{CascadeStore, Commit, CommitError, EndedSessions, OwnerError, Session, TypedSession};

/// A session that belongs to somebody.
#[derive(Session)]
#[session(name = "member", version = 1)]
#[cascade(memcache, datastore)]
pub struct Member {
    #[session(owner)]
    user: Option<u64>,
}

/// What a request has come to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reply {
    /// The outcome in a word; an error is `failed` where nothing is known to be done, and `ended` where a sign-in has met an
    /// end.
    pub outcome: String,
    /// Who is signed in.
    pub user: Option<u64>,
    /// The session's identifier among those of its owner.
    pub device: Option<String>,
    /// The identifiers of all of them.
    pub devices: Vec<String>,
}

#[derive(Deserialize)]
struct Params {
    number: u64,
}

type MemberSession = TypedSession<Member>;

/// The routes.
pub fn routes() -> Router<CascadeStore> {
    Router::new()
        .route("/owner/who", get(who))
        .route("/owner/sign-in", post(sign_in))
        .route("/owner/log-out", post(log_out))
        .route("/owner/end-all", post(end_all))
        .route("/owner/end-others", post(end_others))
        .route("/owner/list", get(list))
}

fn reply(outcome: &str, session: &MemberSession) -> Json<Reply> {
    Json(Reply {
        outcome: outcome.to_owned(),
        user: *session.user(),
        device: session.device_id().map(|id| id.to_string()),
        devices: Vec::new(),
    })
}

fn of_commit(outcome: &Result<Commit, CommitError>) -> &'static str {
    match outcome {
        Ok(Commit::Unfenced { .. }) => "unfenced",
        Ok(_) => "done",
        Err(CommitError::SignInEnded { .. } | CommitError::Gone { .. } | CommitError::Superseded { .. }) => "ended",
        Err(_) => "failed",
    }
}

fn of_end(outcome: Result<EndedSessions, OwnerError>) -> Json<Reply> {
    let outcome = outcome.map(|ended| ended.commit);
    let outcome = match outcome {
        Ok(Commit::Unfenced { .. }) => "unfenced",
        Ok(_) => "done",
        Err(error) if error.is_outage() => "failed",
        Err(_) => "unexpected",
    };
    let outcome = outcome.to_owned();
    Json(Reply {
        outcome,
        ..Reply::default()
    })
}

async fn who(session: MemberSession) -> Json<Reply> {
    reply("done", &session)
}

async fn sign_in(mut session: MemberSession, Query(params): Query<Params>) -> Json<Reply> {
    session.set_user(Some(params.number));
    let outcome = session.commit().await;
    reply(of_commit(&outcome), &session)
}

async fn log_out(mut session: MemberSession) -> Json<Reply> {
    session.destroy();
    let outcome = session.commit().await;
    reply(of_commit(&outcome), &session)
}

async fn end_all(State(store): State<CascadeStore>, Query(params): Query<Params>) -> Json<Reply> {
    of_end(store.owner::<Member>(&params.number).end_all().await)
}

async fn end_others(
    session: MemberSession,
    State(store): State<CascadeStore>,
    Query(params): Query<Params>,
) -> Json<Reply> {
    if *session.user() != Some(params.number) {
        return reply("failed", &session);
    }
    let mut ended = of_end(store.owner::<Member>(&params.number).end_all_except(&session).await);
    ended.device = session.device_id().map(|id| id.to_string());
    ended
}

async fn list(State(store): State<CascadeStore>, Query(params): Query<Params>) -> Json<Reply> {
    let devices = store.owner::<Member>(&params.number).sessions().await;
    Json(Reply {
        outcome: if devices.is_ok() { "done" } else { "failed" }.to_owned(),
        devices: devices
            .unwrap_or_default()
            .iter()
            .map(|device| device.id.to_string())
            .collect(),
        ..Reply::default()
    })
}
