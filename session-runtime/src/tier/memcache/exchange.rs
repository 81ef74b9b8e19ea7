//! One exchange, a command and its reply, as the stream that `memcache-async` reads and writes.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::pipeline::{Exchange, Failure, Queue};
use super::reply::{Expected, ProtocolError};

/// Collects the command until its reply is read; then hands it to the connection's task, and waits for the whole reply.
///
/// Where it is dropped before the command was sent, that is not sent any more.
pub(super) struct ExchangeStream<'a> {
    queue: &'a Queue,
    deadline: Instant,
    /// Whether any byte of the command may have been sent.
    has_sent: &'a mut bool,
    state: State,
}

enum State {
    Writing(Vec<u8>, Expected),
    Waiting(u64, oneshot::Receiver<Result<Vec<u8>, Failure>>),
    Reading(io::Cursor<Vec<u8>>),
    Failed,
}

impl<'a> ExchangeStream<'a> {
    pub(super) fn new(queue: &'a Queue, expected: Expected, deadline: Instant, has_sent: &'a mut bool) -> Self {
        *has_sent = false;
        Self {
            queue,
            deadline,
            has_sent,
            state: State::Writing(Vec::new(), expected),
        }
    }

    /// Checks that the reply was read to the end.
    pub(super) fn finish(self) -> io::Result<()> {
        match &self.state {
            State::Reading(reply) if !reply.has_remaining() => Ok(()),
            _ => Err(ProtocolError::UnexpectedReply.into()),
        }
    }
}

impl AsyncRead for ExchangeStream<'_> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Writing(..) => {
                    let State::Writing(command, expected) = std::mem::replace(&mut this.state, State::Failed) else {
                        continue;
                    };
                    let (reply, receiver) = oneshot::channel();
                    let number = this.queue.push(Exchange {
                        command,
                        expected,
                        deadline: this.deadline,
                        reply,
                    })?;
                    *this.has_sent = true;
                    this.state = State::Waiting(number, receiver);
                }
                State::Waiting(_, receiver) => {
                    let reply = ready!(Pin::new(receiver).poll(cx));
                    this.state = State::Failed;
                    let reply = reply.unwrap_or_else(|_| {
                        Err(Failure::ConnectionLost(Arc::new(
                            io::ErrorKind::ConnectionAborted.into(),
                        )))
                    });
                    if let Err(Failure::NotSent(_)) = reply {
                        *this.has_sent = false;
                    }
                    this.state = State::Reading(io::Cursor::new(reply?));
                }
                State::Reading(reply) => {
                    let len = reply.remaining().min(out.remaining());
                    out.put_slice(reply.chunk().get(..len).unwrap_or_default());
                    reply.advance(len);
                    return Poll::Ready(Ok(()));
                }
                State::Failed => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            }
        }
    }
}

impl AsyncWrite for ExchangeStream<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(match &mut self.get_mut().state {
            State::Writing(command, _) => {
                command.extend_from_slice(buf);
                Ok(buf.len())
            }
            _ => Err(io::ErrorKind::NotConnected.into()),
        })
    }

    /// Does nothing: reading the reply sends the command.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for ExchangeStream<'_> {
    fn drop(&mut self) {
        if let State::Waiting(number, _) = self.state
            && self.queue.withdraw(number)
        {
            *self.has_sent = false;
        }
    }
}
