//! The programs whose sessions outlive their requests, each served on a port, and spoken to as a browser does.

#[path = "../sse.rs"]
#[allow(dead_code, reason = "the test runs the application, not `main`")]
mod sse;
#[path = "../websocket.rs"]
#[allow(dead_code, reason = "the test runs the application, not `main`")]
mod websocket;

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::header::{COOKIE, SET_COOKIE};
use futures_util::{SinkExt, StreamExt};
use session_runtime::testing::{TestStore, response_cookies};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, handshake::client::Response};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::serve;
use sse::Ticker;
use websocket::Pad;

/// Longer than any answer takes; what hangs fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// The lines of a response, its head first.
struct Reply(Lines<BufReader<TcpStream>>);

impl Reply {
    async fn line(&mut self) -> Option<String> {
        timeout(PATIENCE, self.0.next_line()).await.expect("it hangs").unwrap()
    }

    /// The status line, and the cookie that is set.
    async fn head(&mut self) -> (String, Option<String>) {
        let (status, mut cookie) = (self.line().await.unwrap(), None);
        while let Some(line) = self.line().await.filter(|line| !line.is_empty()) {
            if let Some(("set-cookie", value)) = line.split_once(": ") {
                cookie = value.split(';').next().map(str::to_owned);
            }
        }
        (status, cookie)
    }

    /// The data of the next event; `None` where the stream has ended.
    async fn event(&mut self) -> Option<u64> {
        loop {
            if let Some(data) = self.line().await?.strip_prefix("data: ") {
                return Some(data.parse().unwrap());
            }
        }
    }
}

async fn send(address: SocketAddr, method: &str, path: &str, cookie: &str, body: &str) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let len = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {cookie}\r\n\
         Content-Type: text/plain\r\nContent-Length: {len}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    Reply(BufReader::new(stream).lines())
}

async fn post(address: SocketAddr, path: &str, cookie: &str, body: &str) {
    let (status, _) = send(address, "POST", path, cookie, body).await.head().await;
    assert_eq!(status, "HTTP/1.1 200 OK", "{path}");
}

async fn ticker(sessions: &TestStore) -> SocketAddr {
    serve(sse::app(sessions.store(), Duration::from_millis(5))).await
}

#[tokio::test]
async fn events_commit_merge_with_another_request_and_end_with_their_session() {
    let sessions = TestStore::new().await.unwrap();
    let address = ticker(&sessions).await;
    let cookie = sessions
        .cookie::<Ticker>(|ticker| ticker.set_seconds(10))
        .await
        .unwrap();
    let mut events = send(address, "GET", "/ticks", &cookie, "").await;
    let (status, set) = events.head().await;
    assert_eq!((&*status, set), ("HTTP/1.1 200 OK", None));
    let first = events.event().await.unwrap();
    assert_eq!(first, 11);
    assert!(sessions.read::<Ticker>(&cookie).await.unwrap().unwrap().seconds >= first);

    post(address, "/skip", &cookie, "").await;
    // The first of them may have been sent before.
    let (mut last, mut jumps) = (first, Vec::new());
    for _ in 0..100 {
        let seconds = events.event().await.unwrap();
        jumps.extend((seconds != last + 1).then(|| seconds.wrapping_sub(last)));
        last = seconds;
    }
    assert_eq!(jumps, [61], "each tick counts once, and so does the other request");

    post(address, "/stop", &cookie, "").await;
    while events.event().await.is_some() {}
    assert!(sessions.read::<Ticker>(&cookie).await.unwrap().is_none());
}

#[tokio::test]
async fn the_head_of_a_new_visitors_events_brings_the_cookie() {
    let sessions = TestStore::new().await.unwrap();
    let address = ticker(&sessions).await;
    let mut events = send(address, "GET", "/ticks", "", "").await;
    let cookie = events.head().await.1.unwrap();
    assert_eq!(events.event().await, Some(1));
    assert!(sessions.read::<Ticker>(&cookie).await.unwrap().unwrap().seconds >= 1);
}

type Socket = WebSocketStream<TcpStream>;

async fn connect(address: SocketAddr, cookie: &str) -> (Socket, Response) {
    let mut request = format!("ws://{address}/pad").into_client_request().unwrap();
    request.headers_mut().insert(COOKIE, cookie.parse().unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    client_async(request, stream).await.unwrap()
}

async fn receive(socket: &mut Socket) -> Option<Message> {
    let message = timeout(PATIENCE, socket.next()).await.expect("it hangs");
    message.map(Result::unwrap)
}

async fn say(socket: &mut Socket, line: &str) -> Message {
    socket.send(Message::text(line)).await.unwrap();
    receive(socket).await.unwrap()
}

#[tokio::test]
async fn messages_commit_merge_with_another_request_and_end_with_their_session() {
    let sessions = TestStore::new().await.unwrap();
    let address = serve(websocket::app(sessions.store())).await;
    let cookie = sessions
        .cookie::<Pad>(|pad| pad.set_lines(vec!["one".to_owned()]))
        .await
        .unwrap();
    let (mut socket, response) = connect(address, &cookie).await;
    assert!(!response.headers().contains_key(SET_COOKIE));
    assert_eq!(say(&mut socket, "two").await, Message::text("one\ntwo"));
    assert_eq!(
        sessions.read::<Pad>(&cookie).await.unwrap().unwrap().lines,
        ["one", "two"]
    );

    post(address, "/lines", &cookie, "three").await;
    assert_eq!(say(&mut socket, "four").await, Message::text("one\ntwo\nthree\nfour"));
    let (mut other, _) = connect(address, &cookie).await;
    assert_eq!(
        say(&mut other, "five").await,
        Message::text("one\ntwo\nthree\nfour\nfive")
    );

    post(address, "/end", &cookie, "").await;
    for mut socket in [socket, other] {
        let Message::Close(Some(frame)) = say(&mut socket, "six").await else {
            panic!("it goes on")
        };
        assert_eq!(
            (frame.code, frame.reason.as_str()),
            (CloseCode::Policy, "the session has ended")
        );
        assert_eq!(receive(&mut socket).await, None);
    }
    assert!(sessions.read::<Pad>(&cookie).await.unwrap().is_none());
}

#[tokio::test]
async fn the_response_that_accepts_a_new_visitors_socket_brings_the_cookie() {
    let sessions = TestStore::new().await.unwrap();
    let address = serve(websocket::app(sessions.store())).await;
    let (mut socket, response) = connect(address, "").await;
    let cookie = response_cookies(&response).unwrap();
    assert_eq!(say(&mut socket, "one").await, Message::text("one"));
    assert_eq!(sessions.read::<Pad>(&cookie).await.unwrap().unwrap().lines, ["one"]);

    // What is too large for the record is told, and nothing of it is stored.
    let Message::Close(Some(frame)) = say(&mut socket, &"x".repeat(5000)).await else {
        panic!("it goes on")
    };
    assert_eq!(frame.code, CloseCode::Size);
    assert_eq!(sessions.read::<Pad>(&cookie).await.unwrap().unwrap().lines, ["one"]);
}
