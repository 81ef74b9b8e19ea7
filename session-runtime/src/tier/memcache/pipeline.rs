//! The exchanges of one connection, pipelined: each is sent without waiting for the replies to those before it, and those
//! that begin at about the same time share a write and a read. memcached replies to the commands of a connection in the
//! order in which they were sent.
//!
//! A reply is passed on once it was [checked](super::reply) to its last byte. After one that does not belong to its
//! command, none of the connection can be believed any more: all exchanges on it fail. A reply that nobody waits for any
//! more passes unread.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep};

use super::reply::{Expected, ProtocolError, ReplyChecker};
use super::stream::Stream;

/// How many exchanges may be on a connection at once: far more than a server that answers within the time-out needs.
const MAX_EXCHANGES: usize = 4096;
/// How many bytes of commands may wait to be sent: 64 values of the largest size.
pub(super) const MAX_WAITING: usize = 64 << 20;
/// How many bytes of commands are joined for one write.
const MAX_WRITE: usize = 64 << 10;
/// The room for one read, in bytes: several replies of usual size.
const READ_SIZE: usize = 16 << 10;
/// A connection without an exchange is closed after one to two times this. Routers forget an idle connection, AWS's NAT
/// gateway after 350 s, and then silently discard what is sent on it.
const IDLE_CHECK: Duration = Duration::from_mins(2);

/// A command that is to be sent.
pub(super) struct Exchange {
    pub(super) command: Vec<u8>,
    pub(super) expected: Expected,
    /// When its caller stops waiting.
    pub(super) deadline: Instant,
    pub(super) reply: oneshot::Sender<Result<Vec<u8>, Failure>>,
}

/// Why an exchange failed.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// Nothing of the command was sent, nor will be.
    NotSent(Arc<io::Error>),
    /// The connection was lost while it was in use.
    ConnectionLost(Arc<io::Error>),
    /// The reply, to this command or to another one before it, was not one that the protocol allows, or was an error.
    Protocol(ProtocolError),
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotSent(error) | Failure::ConnectionLost(error) => Self::new(error.kind(), error),
            Failure::Protocol(error) => error.into(),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match ProtocolError::from_io(&error) {
            Some(error) => Self::Protocol(error.clone()),
            None => Self::ConnectionLost(Arc::new(error)),
        }
    }
}

/// The commands that wait to be sent on one connection.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// How many exchanges have neither been answered nor failed.
    exchanges: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    /// `None` for one that was withdrawn.
    commands: VecDeque<Option<Exchange>>,
    /// The number of the first of them.
    first: u64,
    /// Their size in bytes.
    size: usize,
    /// The task that sends them.
    task: Option<Waker>,
    is_closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many exchanges are on the connection.
    pub(super) fn len(&self) -> usize {
        self.exchanges.load(Ordering::Relaxed)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Adds a command, and returns its number.
    ///
    /// # Errors
    /// [`NotSent`](Failure::NotSent) where the connection is closed, or has too many already.
    pub(super) fn push(&self, exchange: Exchange) -> Result<u64, Failure> {
        let not_sent = |kind: io::ErrorKind, text: &str| Failure::NotSent(Arc::new(io::Error::new(kind, text)));
        let (number, task) = {
            let mut waiting = self.lock();
            if waiting.is_closed {
                return Err(not_sent(io::ErrorKind::NotConnected, "the connection was closed"));
            }
            if self.len() >= MAX_EXCHANGES || waiting.size > MAX_WAITING {
                let text = "too many operations wait for this memcached: it is slower than they come";
                return Err(not_sent(io::ErrorKind::ResourceBusy, text));
            }
            waiting.size += exchange.command.len();
            self.exchanges.fetch_add(1, Ordering::Relaxed);
            let number = waiting.first + waiting.commands.len() as u64;
            waiting.commands.push_back(Some(exchange));
            (number, waiting.task.take())
        };
        if let Some(task) = task {
            task.wake();
        }
        Ok(number)
    }

    /// Takes a command back; returns whether nothing of it was sent, nor will be.
    pub(super) fn withdraw(&self, number: u64) -> bool {
        let mut waiting = self.lock();
        let place = number.checked_sub(waiting.first);
        let place = place.and_then(|place| usize::try_from(place).ok());
        let Some(command) = place.and_then(|place| waiting.commands.get_mut(place)) else {
            return false;
        };
        if let Some(exchange) = command.take() {
            waiting.size -= exchange.command.len();
            self.exchanges.fetch_sub(1, Ordering::Relaxed);
        }
        true
    }

    /// Whether nothing is to be sent any more.
    fn is_finished(&self) -> bool {
        let waiting = self.lock();
        waiting.is_closed && waiting.commands.is_empty()
    }

    /// Accepts no command any more. Those that were sent may still be answered, before their deadlines.
    pub(super) fn close(&self) {
        let task = {
            let mut waiting = self.lock();
            waiting.is_closed = true;
            waiting.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// Sends the commands of `queue` on `stream`, and hands their replies out, until the connection is closed.
pub(super) async fn run(stream: Stream, queue: Arc<Queue>) {
    let mut pipeline = Pipeline {
        stream,
        queue,
        out: BytesMut::new(),
        sent: VecDeque::new(),
        received: BytesMut::new(),
        checked: 0,
        replies: Vec::new(),
        timer: Box::pin(sleep(IDLE_CHECK)),
        has_been_used: false,
        was_used: false,
    };
    let end = std::future::poll_fn(|cx| pipeline.poll(cx)).await;
    pipeline.fail(&end);
}

struct Sent {
    checker: ReplyChecker,
    deadline: Instant,
    reply: oneshot::Sender<Result<Vec<u8>, Failure>>,
}

struct Pipeline {
    stream: Stream,
    queue: Arc<Queue>,
    /// The commands that are being written.
    out: BytesMut,
    /// The exchanges whose commands were written, or are being written, in that order.
    sent: VecDeque<Sent>,
    received: BytesMut,
    /// How many bytes at the start of `received` belong to the first reply, for certain.
    checked: usize,
    /// The replies of the latest read.
    replies: Vec<(Sent, Result<Vec<u8>, ProtocolError>)>,
    timer: Pin<Box<Sleep>>,
    /// Whether anything was ever sent.
    has_been_used: bool,
    /// Whether anything was sent since the latest check for an idle connection.
    was_used: bool,
}

impl Pipeline {
    /// Ready once the connection is to be closed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        loop {
            let has_taken = match self.take_commands(cx) {
                Ok(has_taken) => has_taken,
                Err(failure) => return Poll::Ready(failure),
            };
            match self.poll_io(cx) {
                Poll::Ready(Err(error)) => return Poll::Ready(error.into()),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            // More may wait than one write takes.
            if !has_taken || !self.out.is_empty() {
                break;
            }
        }
        if self.sent.is_empty() && self.queue.is_finished() {
            return Poll::Ready(closed());
        }
        self.poll_timer(cx)
    }

    /// Takes what waits, as soon as all that was taken before is written; returns whether there was anything.
    fn take_commands(&mut self, cx: &mut Context<'_>) -> Result<bool, Failure> {
        if !self.out.is_empty() {
            return Ok(false);
        }
        let mut waiting = self.queue.lock();
        if waiting.commands.is_empty() {
            if !waiting.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
                waiting.task = Some(cx.waker().clone());
            }
            return Ok(false);
        }
        // Anything that arrived between two exchanges, and be it the end, makes the connection unusable.
        if self.sent.is_empty() && self.has_been_used && !self.stream.is_idle() {
            return Err(closed());
        }
        while self.out.len() < MAX_WRITE
            && let Some(command) = waiting.commands.pop_front()
        {
            waiting.first += 1;
            if let Some(exchange) = command {
                waiting.size -= exchange.command.len();
                self.out.extend_from_slice(&exchange.command);
                self.sent.push_back(Sent {
                    checker: ReplyChecker::new(exchange.expected),
                    deadline: exchange.deadline,
                    reply: exchange.reply,
                });
            }
        }
        self.has_been_used = true;
        self.was_used = true;
        Ok(true)
    }

    fn poll_io(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            match self.stream.poll_write(cx, &self.out)? {
                Poll::Ready(written) => self.out.advance(written),
                Poll::Pending => break,
            }
        }
        loop {
            self.received.reserve(READ_SIZE);
            ready!(self.stream.poll_read(cx, &mut self.received))?;
            self.check_replies()?;
            self.hand_out();
        }
    }

    /// Takes the whole replies out of what was received.
    fn check_replies(&mut self) -> Result<(), ProtocolError> {
        while let Some(first) = self.sent.front_mut() {
            while !first.checker.is_done() {
                let accepted = first
                    .checker
                    .check(self.received.get(self.checked..).unwrap_or_default())?;
                if accepted == 0 {
                    return Ok(());
                }
                self.checked += accepted;
            }
            let Some(mut first) = self.sent.pop_front() else { break };
            let reply = match first.checker.take_refusal() {
                Some(refusal) => Err(refusal),
                None => Ok(self.received.get(..self.checked).unwrap_or_default().to_vec()),
            };
            self.received.advance(self.checked);
            self.checked = 0;
            self.replies.push((first, reply));
        }
        if self.received.is_empty() {
            Ok(())
        } else {
            Err(ProtocolError::Unsolicited)
        }
    }

    fn hand_out(&mut self) {
        self.queue.exchanges.fetch_sub(self.replies.len(), Ordering::Relaxed);
        for (exchange, reply) in self.replies.drain(..) {
            // Whoever waits no longer does not miss it.
            drop(exchange.reply.send(reply.map_err(Failure::Protocol)));
        }
    }

    /// Ready if nothing was answered in time, or the connection was not used for long.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        loop {
            let first = self.sent.front().map(|first| first.deadline);
            if let Some(first) = first.filter(|first| *first < self.timer.deadline()) {
                self.timer.as_mut().reset(first);
            }
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            let next = match (first, self.sent.back()) {
                (Some(_), Some(last)) if last.deadline <= now => return Poll::Ready(closed()),
                (Some(first), Some(last)) if first <= now => {
                    // Whoever comes next takes another connection.
                    self.queue.close();
                    last.deadline
                }
                (Some(first), _) => first,
                (None, _) if self.was_used => {
                    self.was_used = false;
                    now + IDLE_CHECK
                }
                (None, _) => return Poll::Ready(closed()),
            };
            self.timer.as_mut().reset(next);
        }
    }

    fn fail(&mut self, failure: &Failure) {
        self.queue.close();
        let unsent = std::mem::take(&mut self.queue.lock().commands);
        let sent = self.replies.drain(..).map(|(sent, _)| sent).chain(self.sent.drain(..));
        for exchange in sent {
            drop(exchange.reply.send(Err(failure.clone())));
        }
        let not_sent = match failure {
            Failure::NotSent(error) | Failure::ConnectionLost(error) => Failure::NotSent(Arc::clone(error)),
            Failure::Protocol(error) => Failure::NotSent(Arc::new(error.clone().into())),
        };
        for exchange in unsent.into_iter().flatten() {
            drop(exchange.reply.send(Err(not_sent.clone())));
        }
    }
}

fn closed() -> Failure {
    Failure::ConnectionLost(Arc::new(io::ErrorKind::ConnectionAborted.into()))
}

/// Where the runtime ends, its tasks do.
impl Drop for Pipeline {
    fn drop(&mut self) {
        self.fail(&closed());
    }
}
