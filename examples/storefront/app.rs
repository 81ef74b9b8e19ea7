//! The routes of the shop: a page with forms for people, and JSON for programs.

use axum::Router;
use axum::middleware::{from_fn, map_response};
use session_runtime::{CascadeStore, RouterExt};

use super::{api, devices, forms, health, page, problem, steps};

pub(crate) fn app(store: &CascadeStore) -> Router {
    let sessions = store.layer().with_server_timing(true);
    let people = Router::new()
        .merge(page::routes())
        .merge(devices::routes())
        .merge(forms::routes())
        .fallback(problem::no_such_page)
        .sessions(sessions.clone())
        // Around the sessions: they see how a commit ended.
        .layer(map_response(problem::explain))
        .layer(from_fn(steps::remember));
    let programs = Router::new().nest("/api", api::routes()).sessions(sessions);
    people.merge(programs).merge(health::routes(store))
}
