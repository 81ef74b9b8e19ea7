//! Code paths whose instructions are counted: `.ci/instructions` runs each of them under callgrind.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a benchmark that fails has no result"
)]

mod cart;

use std::hint::black_box;
use std::process::ExitCode;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::COOKIE;
use axum::http::{HeaderValue, StatusCode};
use axum::routing::get;
use cart::{Eager, Lazy, cached, changed, commit, stored, stored_lazy};
use session_runtime::__private::cascade::item;
use session_runtime::__private::cascade::protocol::Item;
use session_runtime::__private::session::changes::Changes;
use session_runtime::__private::session::record::Record;
use session_runtime::testing::TestStore;
use session_runtime::{CascadeStore, RouterExt, Session, TypedSession};
use tower::ServiceExt;

/// How often a path is run. `.ci/instructions` divides by it.
const ROUNDS: u32 = 1000;

fn main() -> ExitCode {
    let path = std::env::args().nth(1).unwrap_or_default();
    match path.as_str() {
        "open_change_one_write" => {
            let bytes = stored_lazy();
            count(|| {
                let record = Record::decode(black_box(&bytes)).unwrap();
                let mut fields = Lazy::open(&record).unwrap();
                *fields.visits_mut().unwrap() += 1;
                drop(black_box(commit::<Lazy>(&record, &fields)));
            });
        }
        "decode_all" => {
            let bytes = stored();
            count(|| drop(black_box(Eager::open(&Record::decode(black_box(&bytes)).unwrap()))));
        }
        "encode_all" => {
            let (record, fields) = changed();
            count(|| drop(black_box(commit::<Eager>(black_box(&record), black_box(&fields)))));
        }
        "nothing_changed" => {
            let fields = Eager::open(&Record::decode(&stored()).unwrap()).unwrap();
            count(|| assert!(Changes::collect::<Eager>(black_box(&fields)).unwrap().is_empty()));
        }
        "load_hit" => {
            let bytes = cached();
            count(|| {
                let Some(Item::Value { record, .. }) = item::decode(black_box(&bytes)) else {
                    unreachable!("the cached item is a value")
                };
                drop(black_box(Lazy::open(&record)));
            });
        }
        "layer_none" => count_requests("/none"),
        "layer_read" => count_requests("/read"),
        "layer_write" => count_requests("/write"),
        // Cargo passes no path when it runs all benchmarks.
        "" | "--bench" => {}
        other => {
            eprintln!("there is no path `{other}`");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The session of the requests.
#[derive(Session)]
#[session(name = "shop", version = 1)]
#[cascade(memcache, datastore)]
struct Shop {
    visits: u64,
}

async fn no_session() -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn read(shop: TypedSession<Shop>) -> StatusCode {
    black_box(shop.visits());
    StatusCode::NO_CONTENT
}

async fn write(mut shop: TypedSession<Shop>) -> StatusCode {
    *shop.visits_mut() += 1;
    StatusCode::NO_CONTENT
}

/// Requests through the layer, without a network, of a client whose session is in the cache.
fn count_requests(path: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let (app, cookie) = runtime.block_on(async {
        let sessions = TestStore::new().await.unwrap();
        let cookie = sessions.cookie::<Shop>(|shop| shop.set_visits(1)).await.unwrap();
        assert!(sessions.read::<Shop>(&cookie).await.unwrap().is_some());
        // The read has put it into the cache by then.
        sessions.store().drain().await;
        let routes: Router<CascadeStore> = Router::new()
            .route("/none", get(no_session))
            .route("/read", get(read))
            .route("/write", get(write));
        (
            routes.sessions(sessions.store()),
            HeaderValue::try_from(cookie).unwrap(),
        )
    });
    count(|| {
        let request = Request::get(path).header(COOKIE, cookie.clone());
        let response = app.clone().oneshot(request.body(Body::empty()).unwrap());
        let response = runtime.block_on(response).unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
    });
}

/// Runs a path a few times uncounted, for its one-time initialization, and then counted.
fn count(mut path: impl FnMut()) {
    for _ in 0..3 {
        path();
    }
    counted(&mut path);
}

/// Callgrind counts the instructions in this function.
#[inline(never)]
fn counted(path: &mut dyn FnMut()) {
    for _ in 0..ROUNDS {
        path();
    }
}
