//! The application under attack: a session that records the writes to it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::Query;
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use session_runtime::{Builder, CascadeStore, Clock, Commit, CommitError, RouterExt, Session, TypedSession};
use session_runtime::{WithDatastore, WithMemcache};

use crate::attack_owners;

/// How old a cached record may be, in the attack.
pub const MAX_STALENESS: Duration = Duration::from_millis(1500);

/// How long a commit may take, in the attack.
pub const COMMIT_TIMEOUT: Duration = Duration::from_secs(8);

/// The session under attack. Every write has a unique number.
#[derive(Session)]
#[session(name = "attack", version = 1)]
#[cascade(memcache, datastore)]
pub struct Attack {
    /// The session's id, written at its creation only.
    id: u64,
    /// As many as there are `adds`, if each was applied exactly once.
    #[session(merge = add)]
    visits: u64,
    /// The numbers of the adds.
    #[session(merge = union)]
    adds: BTreeSet<u32>,
    /// The number of the latest note.
    note: u32,
    /// The number of the latest sign-in.
    #[session(privileged)]
    user: u32,
}

/// The session as a request sees it: as it was loaded, with the request's own change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Whether there is no such session.
    pub is_new: bool,
    /// The session's id.
    pub id: u64,
    /// How many adds were counted.
    pub visits: u64,
    /// The numbers of the adds.
    pub adds: BTreeSet<u32>,
    /// The number of the latest note; 0 if there is none.
    pub note: u32,
    /// The number of the latest sign-in; 0 if there is none.
    pub user: u32,
}

/// How a commit ended that a handler made, and the session afterwards.
#[derive(Debug, Serialize, Deserialize)]
pub struct Committed {
    /// The outcome, in the words of `Server-Timing`.
    pub commit: String,
    /// The session.
    pub view: View,
}

/// The machine's clock, fast by so many seconds, or slow.
#[derive(Clone, Copy, Debug, Default)]
pub struct WrongClock(pub i64);

impl Clock for WrongClock {
    fn now(&self) -> SystemTime {
        let by = Duration::from_secs(self.0.unsigned_abs());
        if self.0 < 0 {
            SystemTime::now() - by
        } else {
            SystemTime::now() + by
        }
    }
}

#[derive(Deserialize)]
struct Params {
    /// The number of the operation, or the id of a session to be created.
    #[serde(default)]
    number: u64,
    /// How long to wait between the load and the change, in milliseconds.
    #[serde(default)]
    ms: u64,
}

/// Sets the limits of a store under attack: times short enough to be reached in a round, and lifetimes longer than nodes'
/// clocks differ.
pub fn with_bounds(builder: Builder<WithMemcache, WithDatastore>) -> Builder<WithMemcache, WithDatastore> {
    builder
        .max_staleness(MAX_STALENESS)
        // Longer than a round: after a rotation without a response, a client still has the previous secret.
        .rotation_grace(Duration::from_hours(1))
        .commit_timeout(COMMIT_TIMEOUT)
        .max_len(256 << 10)
}

/// The application. `Server-Timing` reports the outcome of each load and commit.
pub fn app(store: &CascadeStore) -> Router {
    Router::new()
        .route("/create", post(create))
        .route("/read", get(read))
        .route("/add", post(add))
        .route("/commit", post(commit))
        .route("/detach", post(detach))
        .route("/note", post(note))
        .route("/sign-in", post(sign_in))
        .route("/rotate", post(rotate))
        .route("/destroy", post(destroy))
        .merge(attack_owners::routes())
        .sessions(store.layer().with_server_timing(true))
}

macro_rules! view {
    ($session:expr) => {
        View {
            is_new: $session.is_new(),
            id: *$session.id(),
            visits: *$session.visits(),
            adds: $session.adds().clone(),
            note: *$session.note(),
            user: *$session.user(),
        }
    };
}

fn view(session: &TypedSession<Attack>) -> Json<View> {
    Json(view!(session))
}

fn committed(outcome: &Result<Commit, CommitError>, view: View) -> Committed {
    let commit = match outcome {
        Ok(Commit::Clean) => "clean",
        Ok(Commit::Coherent) => "coherent",
        Ok(Commit::Degraded) => "degraded",
        Ok(Commit::Unfenced { .. }) => "unfenced",
        Err(CommitError::Gone { .. } | CommitError::Superseded { .. }) => "gone",
        Err(CommitError::Conflict { field: None, .. }) => "conflict",
        Err(CommitError::Unavailable { .. }) => "unavailable",
        Err(CommitError::Unknown { .. }) => "unknown",
        _ => "unexpected",
    };
    let commit = commit.to_owned();
    Committed { commit, view }
}

async fn create(mut session: TypedSession<Attack>, Query(params): Query<Params>) -> Json<View> {
    session.set_id(params.number);
    let mut seen = view(&session);
    seen.is_new = false;
    seen
}

async fn read(session: TypedSession<Attack>) -> Json<View> {
    view(&session)
}

fn number(params: &Params) -> u32 {
    u32::try_from(params.number).unwrap_or(u32::MAX)
}

/// Changes the session, if it exists.
async fn change(
    mut session: TypedSession<Attack>,
    params: Params,
    make: impl FnOnce(&mut TypedSession<Attack>, u32),
) -> Json<View> {
    let number = number(&params);
    tokio::time::sleep(Duration::from_millis(params.ms)).await;
    if session.is_new() {
        return view(&session);
    }
    make(&mut session, number);
    view(&session)
}

async fn add(session: TypedSession<Attack>, Query(params): Query<Params>) -> Json<View> {
    change(session, params, |session, number| {
        *session.visits_mut() += 1;
        session.adds_mut().insert(number);
    })
    .await
}

/// Commits in the handler, which goes on.
async fn commit(mut session: TypedSession<Attack>, Query(params): Query<Params>) -> Json<Committed> {
    let outcome = if session.is_new() {
        Ok(Commit::Clean)
    } else {
        *session.visits_mut() += 1;
        session.adds_mut().insert(number(&params));
        session.commit().await
    };
    let seen = view!(session);
    tokio::time::sleep(Duration::from_millis(params.ms)).await;
    Json(committed(&outcome, seen))
}

/// Commits while the body of the response is sent.
async fn detach(session: TypedSession<Attack>, Query(params): Query<Params>) -> Body {
    if session.is_new() {
        // It would be created.
        return serde_json::to_vec(&committed(&Ok(Commit::Clean), view!(session)))
            .unwrap()
            .into();
    }
    let mut session = session.into_detached();
    Body::from_stream(stream::once(async move {
        tokio::time::sleep(Duration::from_millis(params.ms)).await;
        *session.visits_mut() += 1;
        session.adds_mut().insert(number(&params));
        let outcome = session.commit().await;
        Ok::<_, Infallible>(serde_json::to_vec(&committed(&outcome, view!(session))).unwrap())
    }))
}

/// Writes the privileged field: every secret before ends. Where another request has ended the presented one meanwhile, the
/// client gets a session of its own.
async fn sign_in(mut session: TypedSession<Attack>, Query(params): Query<Params>) -> Json<Committed> {
    tokio::time::sleep(Duration::from_millis(params.ms)).await;
    let outcome = if session.is_new() {
        Ok(Commit::Clean)
    } else {
        session.set_user(number(&params));
        session.commit().await
    };
    Json(committed(&outcome, view!(session)))
}

async fn note(session: TypedSession<Attack>, Query(params): Query<Params>) -> Json<View> {
    change(session, params, |session, number| session.set_note(number)).await
}

async fn rotate(session: TypedSession<Attack>, Query(params): Query<Params>) -> Json<View> {
    change(session, params, |session, _| session.rotate()).await
}

async fn destroy(session: TypedSession<Attack>, Query(params): Query<Params>) -> Json<View> {
    // What is destroyed is shown as it was found: its fields have their defaults afterwards.
    let mut found = None;
    let after = change(session, params, |session, _| {
        found = Some(view(session));
        session.destroy();
    });
    let after = after.await;
    found.unwrap_or(after)
}
