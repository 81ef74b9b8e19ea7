//! The application under attack: a session that can tell what happened to it.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::Query;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use session_runtime::{Builder, CascadeStore, RouterExt, Session, TypedSession};
use session_runtime::{WithDatastore, WithMemcache};

/// How old a cached record may be, in the attack.
pub const MAX_STALENESS: Duration = Duration::from_millis(1500);

/// How long a commit may take, in the attack.
pub const COMMIT_TIMEOUT: Duration = Duration::from_secs(8);

/// The session under attack. Every write names itself by a number that is given once.
#[derive(Session)]
#[session(name = "attack", version = 1)]
#[cascade(memcache, datastore)]
pub struct Attack {
    /// Whose session it is; written once, at its creation.
    id: u64,
    /// One for each of `adds`, if each was made exactly once.
    #[session(merge = add)]
    visits: u64,
    /// The numbers of the adds that are in.
    #[session(merge = union)]
    adds: BTreeSet<u32>,
    /// The number of the latest note.
    note: u32,
}

/// What a request sees of its session: as it was loaded, with what the request itself has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Whether there is no such session.
    pub is_new: bool,
    /// Whose session it is.
    pub id: u64,
    /// How many adds were counted.
    pub visits: u64,
    /// Which.
    pub adds: BTreeSet<u32>,
    /// The number of the latest note; 0 where there is none.
    pub note: u32,
}

#[derive(Deserialize)]
struct Order {
    /// The number of the operation, or, to create, whose session it is to be.
    #[serde(default)]
    number: u64,
    /// How long to dwell between the load and the change, in milliseconds.
    #[serde(default)]
    ms: u64,
}

/// Gives a store under attack its bounds: short enough to be seen at work.
pub fn with_bounds(builder: Builder<WithMemcache, WithDatastore>) -> Builder<WithMemcache, WithDatastore> {
    builder
        .max_staleness(MAX_STALENESS)
        // Longer than a round: a visitor whose answer to a rotation was lost has the secret before to show, and would
        // count as lost with it.
        .rotation_grace(Duration::from_hours(1))
        .commit_timeout(COMMIT_TIMEOUT)
        .max_len(256 << 10)
}

/// The application. What the layer did is told in `Server-Timing`.
pub fn app(store: &CascadeStore) -> Router {
    Router::new()
        .route("/create", post(create))
        .route("/read", get(read))
        .route("/add", post(add))
        .route("/note", post(note))
        .route("/rotate", post(rotate))
        .route("/destroy", post(destroy))
        .sessions(store.layer().with_server_timing(true))
}

fn view(session: &TypedSession<Attack>) -> Json<View> {
    Json(View {
        is_new: session.is_new(),
        id: *session.id(),
        visits: *session.visits(),
        adds: session.adds().clone(),
        note: *session.note(),
    })
}

async fn create(mut session: TypedSession<Attack>, Query(order): Query<Order>) -> Json<View> {
    session.set_id(order.number);
    let mut seen = view(&session);
    seen.is_new = false;
    seen
}

async fn read(session: TypedSession<Attack>) -> Json<View> {
    view(&session)
}

/// A change to a session that there is; none to one that there is not.
async fn change(
    mut session: TypedSession<Attack>,
    Order { number, ms }: Order,
    make: impl FnOnce(&mut TypedSession<Attack>, u32),
) -> Json<View> {
    if ms > 0 {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    if !session.is_new() {
        make(&mut session, u32::try_from(number).unwrap_or(u32::MAX));
    }
    view(&session)
}

async fn add(session: TypedSession<Attack>, Query(order): Query<Order>) -> Json<View> {
    change(session, order, |session, number| {
        *session.visits_mut() += 1;
        session.adds_mut().insert(number);
    })
    .await
}

async fn note(session: TypedSession<Attack>, Query(order): Query<Order>) -> Json<View> {
    change(session, order, |session, number| session.set_note(number)).await
}

async fn rotate(session: TypedSession<Attack>, Query(order): Query<Order>) -> Json<View> {
    change(session, order, |session, _| session.rotate()).await
}

async fn destroy(session: TypedSession<Attack>, Query(order): Query<Order>) -> Json<View> {
    change(session, order, |session, _| session.destroy()).await
}
