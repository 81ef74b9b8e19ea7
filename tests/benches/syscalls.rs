//! Requests whose system calls are counted: `.ci/syscalls` runs each of them under strace.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a benchmark that fails has no result"
)]

use std::process::ExitCode;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::routing::get;
use session_runtime::tier::embedded::{LocalCache, LocalFile};
use session_runtime::{CascadeStore, KeyRing, Memcache, RouterExt, Session, TypedSession};
use tower::ServiceExt;

#[derive(Session)]
#[session(name = "shop", version = 1)]
#[cascade(memcache, datastore)]
struct Shop {
    visits: u64,
}

/// The same without a durable tier.
#[derive(Session)]
#[session(name = "shop", version = 1)]
#[cascade(memcache)]
struct Cached {
    visits: u64,
}

macro_rules! app {
    ($session:ident, $store:expr) => {
        Router::new()
            .route(
                "/read",
                get(async |shop: TypedSession<$session>| shop.visits().to_string()),
            )
            .route(
                "/write",
                get(async |mut shop: TypedSession<$session>| *shop.visits_mut() += 1),
            )
            .sessions($store.build().await.unwrap())
    };
}

/// `STORE PATH ROUNDS WHERE`: a store's name, `/read` or `/write`, how often, and memcached's address or a new file.
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [store, path, rounds, place] = &arguments[..] else {
        // Cargo passes no such arguments when it runs all benchmarks.
        return ExitCode::SUCCESS;
    };
    let rounds: u32 = rounds.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let builder = CascadeStore::builder(KeyRing::random().unwrap());
        let app = match store.as_str() {
            "memcached" => app!(Cached, builder.memcache(Memcache::connect([place]).unwrap())),
            "file" => {
                let file = LocalFile::open(place).unwrap();
                app!(Shop, builder.memcache(LocalCache::new()).datastore(file))
            }
            other => {
                eprintln!("there is no store `{other}`");
                return ExitCode::FAILURE;
            }
        };
        let ask = async |path: &str, cookie: &HeaderValue| {
            let request = Request::get(path).header(COOKIE, cookie);
            let response = app.clone().oneshot(request.body(Body::empty()).unwrap());
            let response = response.await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            response
        };
        let made = ask("/write", &HeaderValue::from_static("")).await;
        let cookie = made.headers()[SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().parse().unwrap();
        for _ in 0..rounds {
            ask(path, &cookie).await;
        }
        ExitCode::SUCCESS
    })
}
