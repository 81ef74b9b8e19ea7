//! Server-sent events that outlive their request: the session is detached, and each event commits what it changed.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::get;
use futures_util::Stream;
use futures_util::stream::unfold;
use session_runtime::{CascadeStore, CommitError, Detached, RouterExt, Session, TypedSession};
use tokio::net::TcpListener;

#[derive(Session)]
#[session(name = "ticker", version = 1)]
#[cascade(memcache, datastore)]
struct Ticker {
    /// Two tabs that listen at once both count.
    #[session(merge = add)]
    seconds: u64,
}

/// Counts the seconds that the visitor has listened for, until the session ends.
async fn ticks(ticker: TypedSession<Ticker>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = unfold(ticker.into_detached(), |mut ticker| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
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

#[tokio::main]
#[expect(clippy::print_stdout, reason = "whoever started the program waits for this line")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = CascadeStore::from_env().await?;
    let app: Router = Router::new().route("/ticks", get(ticks)).sessions(store);

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}/ticks", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
