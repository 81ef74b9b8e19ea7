//! Server-sent events that outlive their request: the session is detached, and each event commits what it changed.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::{get, post};
use futures_util::Stream;
use futures_util::stream::unfold;
use session_runtime::{CascadeStore, CommitError, Detached, RouterExt, Session, TypedSession};
use tokio::net::TcpListener;

#[derive(Session)]
#[session(name = "ticker", version = 1)]
#[cascade(memcache, datastore)]
pub(crate) struct Ticker {
    /// Two tabs that listen at once both count.
    #[session(merge = add)]
    pub(crate) seconds: u64,
}

/// Counts the seconds that the visitor has listened for, until the session ends.
fn ticks(ticker: TypedSession<Ticker>, every: Duration) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = unfold(ticker.into_detached(), move |mut ticker| async move {
        tokio::time::sleep(every).await;
        let event = tick(&mut ticker).await.ok()?;
        Some((Ok(event), ticker))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

async fn tick(ticker: &mut Detached<Ticker>) -> Result<Event, CommitError> {
    *ticker.seconds_mut() += 1;
    ticker.commit().await?;
    Ok(Event::default().event("tick").data(ticker.seconds().to_string()))
}

/// Another request writes what the streams count, and neither write is lost.
async fn skip(mut ticker: TypedSession<Ticker>) {
    *ticker.seconds_mut() += 60;
}

/// The streams of the session end with it.
async fn stop(mut ticker: TypedSession<Ticker>) {
    ticker.destroy();
}

pub(crate) fn app(store: CascadeStore, every: Duration) -> Router {
    Router::new()
        .route("/ticks", get(move |ticker| async move { ticks(ticker, every) }))
        .route("/skip", post(skip))
        .route("/stop", post(stop))
        .sessions(store)
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "whoever started the program waits for this line")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = app(CascadeStore::from_env().await?, Duration::from_secs(1));

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}/ticks", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
