//! A program that counts visits, as several builds of it know the session: what a node of the tests of processes runs.

use std::env::{VarError, var};
use std::time::Duration;

use axum::Router;
use axum::extract::Query;
use axum::routing::{get, post};
use serde::Deserialize;
use session_runtime::{CascadeStore, KeyRing, ManualClock, Memcache, RouterExt, ServedBy, Session, TypedSession};

use crate::records::Records;

/// How old a cached value may be where `MAX_STALENESS` does not say otherwise.
pub const MAX_STALENESS: Duration = Duration::from_mins(1);
/// So long that no clock here is due for a renewal.
const IDLE: Duration = Duration::from_hours(100);

/// The session of a build, in a module of its own: `visits`, and other fields.
macro_rules! build {
    ($name:ident, $version:literal, { $($fields:tt)* }) => {
        mod $name {
            use super::*;

            #[derive(Session)]
            #[session(name = "visits", version = $version)]
            #[cascade(memcache, datastore)]
            pub(super) struct Visits {
                #[session(merge = add)]
                pub(super) visits: u64,
                $($fields)*
            }
        }
    };
}

build!(first, 1, {});
build!(starred, 1, {
    #[session(default = 3, merge = add)]
    pub(super) stars: u64,
});
build!(raised, 2, {});

/// The routes of the build that `BUILD` names.
fn routes(build: &str) -> Option<Router<CascadeStore>> {
    Some(match build {
        "first" => routes_of::<first::Visits>(
            |session| *session.visits_mut() += 1,
            |session| session.visits().to_string(),
        ),
        "starred" => routes_of::<starred::Visits>(
            |session| {
                *session.visits_mut() += 1;
                *session.stars_mut() += 1;
            },
            |session| format!("{} visits, {} stars", session.visits(), session.stars()),
        ),
        "raised" => routes_of::<raised::Visits>(
            |session| *session.visits_mut() += 1,
            |session| session.visits().to_string(),
        ),
        _ => return None,
    })
}

fn routes_of<T: ServedBy<CascadeStore>>(
    write: fn(&mut TypedSession<T>),
    show: fn(&TypedSession<T>) -> String,
) -> Router<CascadeStore> {
    let show = move |session: &TypedSession<T>| {
        if session.is_new() {
            "new".to_owned()
        } else {
            show(session)
        }
    };
    let visit = move |mut session: TypedSession<T>| async move {
        write(&mut session);
        show(&session)
    };
    Router::new()
        .route("/", get(move |session: TypedSession<T>| async move { show(&session) }))
        .route("/visit", post(visit))
        .route(
            "/leave",
            post(|mut session: TypedSession<T>| async move { session.destroy() }),
        )
}

#[derive(Deserialize)]
struct Seconds {
    seconds: u64,
}

/// A node of the environment:
///
/// | variable | value |
/// |---|---|
/// | `SESSION_KEYS`, `MEMCACHE_SERVERS` | as [`Builder::from_env`](session_runtime::Builder::from_env) has them |
/// | `RECORDS` | the address of the [durable tier](Records) |
/// | `BUILD` | the version of the program: `first`, `starred` (another field) or `raised` (a higher version) |
/// | `MAX_STALENESS` | how old a cached value may be, in seconds |
///
/// Its clock stands still but for `/advance?seconds=`. `Server-Timing` reports the outcome of each load and commit.
///
/// # Errors
/// Whatever of this cannot be used.
pub async fn node() -> anyhow::Result<Router> {
    let max_staleness = match var("MAX_STALENESS") {
        Ok(seconds) => Duration::from_secs(seconds.parse()?),
        Err(VarError::NotPresent) => MAX_STALENESS,
        Err(error) => return Err(error.into()),
    };
    let clock = ManualClock::new(std::time::SystemTime::now());
    let store = CascadeStore::builder(KeyRing::from_env("SESSION_KEYS")?)
        .memcache(Memcache::from_env()?)
        .datastore(Records::connect(&var("RECORDS")?)?)
        .idle(IDLE)
        .max_staleness(max_staleness)
        .clock(clock.clone())
        .build()
        .await?;
    let build = var("BUILD")?;
    let routes = routes(&build).ok_or_else(|| anyhow::anyhow!("there is no build {build}"))?;
    let advance = post(move |Query(Seconds { seconds })| async move { clock.advance(Duration::from_secs(seconds)) });
    Ok(routes
        .sessions(store.layer().with_server_timing(true))
        .route("/advance", advance))
}
