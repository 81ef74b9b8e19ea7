use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::pipeline::{Exchange, Failure, MAX_WAITING, Queue, run};
use super::reply::Expected;
use super::stream::Stream;

type Reply = oneshot::Receiver<Result<Vec<u8>, Failure>>;

/// The queue of a connection, and the server's end of that.
async fn connect() -> (Arc<Queue>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let queue = Arc::default();
    tokio::spawn(run(Stream::Tcp(stream), Arc::clone(&queue)));
    (queue, listener.accept().await.unwrap().0)
}

fn push(queue: &Queue, command: Vec<u8>) -> (Result<u64, Failure>, Reply) {
    let (reply, receiver) = oneshot::channel();
    let exchange = Exchange {
        command,
        expected: Expected::Version,
        deadline: Instant::now() + Duration::from_mins(1),
        reply,
    };
    (queue.push(exchange), receiver)
}

#[tokio::test]
async fn a_connection_that_was_given_up_ends_with_its_last_reply() {
    let (queue, mut server) = connect().await;
    let (_, reply) = push(&queue, b"version\r\n".to_vec());
    server.read_exact(&mut [0; 9]).await.unwrap();
    queue.close();
    assert!(push(&queue, Vec::new()).0.is_err());
    server.write_all(b"VERSION 1\r\n").await.unwrap();
    assert_eq!(reply.await.unwrap().unwrap(), b"VERSION 1\r\n");
    // Well before the check for idle connections.
    let mut rest = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(10), server.read_to_end(&mut rest));
    assert_eq!(end.await.unwrap().unwrap(), 0);
}

/// Its task does not run before the next await.
#[tokio::test]
async fn the_commands_that_wait_are_bounded() {
    let (queue, _server) = connect().await;
    let (last, mut pushed) = (Arc::clone(&queue), Vec::new());
    while let (Ok(number), reply) = push(&queue, vec![0; 1 << 20]) {
        pushed.push((number, reply));
    }
    assert_eq!(pushed.len(), (MAX_WAITING >> 20) + 1);
    assert!(last.withdraw(0));
    assert!(push(&queue, Vec::new()).0.is_ok(), "there is room again");
}
