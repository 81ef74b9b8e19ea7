//! A WebSocket that outlives its request: the session is detached, and each message commits what it changed.

use axum::Router;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use axum::response::Response;
use axum::routing::{get, post};
use session_runtime::{CascadeStore, CommitError, Detached, RouterExt, Session, TypedSession};
use tokio::net::TcpListener;

#[derive(Session)]
#[session(name = "pad", version = 1)]
#[cascade(memcache, datastore)]
pub(crate) struct Pad {
    /// Two tabs that write at once both add their lines.
    #[session(merge = union)]
    pub(crate) lines: Vec<String>,
}

/// The response that accepts the socket is the last one that can set a cookie: what signs in belongs before it.
async fn open(pad: TypedSession<Pad>, upgrade: WebSocketUpgrade) -> Response {
    let pad = pad.into_detached();
    upgrade.on_upgrade(|socket| serve(socket, pad))
}

/// Notes each line that comes, and answers with all of them, until the client or the session ends.
async fn serve(mut socket: WebSocket, mut pad: Detached<Pad>) {
    while let Some(Ok(message)) = socket.recv().await {
        let Message::Text(line) = message else { continue };
        let answer = match note(&mut pad, line.to_string()).await {
            Ok(lines) => Message::text(lines),
            Err(error) => close(&error),
        };
        let is_end = matches!(answer, Message::Close(_));
        if socket.send(answer).await.is_err() || is_end {
            break;
        }
    }
}

async fn note(pad: &mut Detached<Pad>, line: String) -> Result<String, CommitError> {
    pad.lines_mut().push(line);
    pad.commit().await?;
    Ok(pad.lines().join("\n"))
}

/// Why the socket is closed (RFC 6455, section 7.4.1).
fn close(error: &CommitError) -> Message {
    let (code, reason) = match error {
        CommitError::Gone { .. } | CommitError::Superseded { .. } => (close_code::POLICY, "the session has ended"),
        CommitError::TooLarge { .. } => (close_code::SIZE, "the pad is full"),
        _ => (close_code::AGAIN, "try again later"),
    };
    Message::Close(Some(CloseFrame {
        code,
        reason: reason.into(),
    }))
}

/// Another request writes what the sockets write, and neither write is lost.
async fn add(mut pad: TypedSession<Pad>, line: String) {
    pad.lines_mut().push(line);
}

/// The sockets of the session end with it, each at its next message.
async fn end(mut pad: TypedSession<Pad>) {
    pad.destroy();
}

pub(crate) fn app(store: CascadeStore) -> Router {
    Router::new()
        .route("/pad", get(open))
        .route("/lines", post(add))
        .route("/end", post(end))
        .sessions(store)
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "whoever started the program waits for this line")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = app(CascadeStore::from_env().await?);

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on ws://{}/pad", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
