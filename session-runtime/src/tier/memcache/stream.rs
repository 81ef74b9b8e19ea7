//! A socket to memcached, and the guard that stands between it and the protocol.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::reply::{Expected, Reply, Surprise};

/// What is read at once where the length of the rest is not known yet.
const CHUNK: usize = 4096;

/// A connected socket.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Stream {
    /// Whether the peer has neither closed nor said anything. Right after a reply, anything else means out of step.
    ///
    /// Asks the operating system: tokio's own readiness lags behind until its driver runs next, and would let a
    /// connection through that a restarted server closed long ago.
    pub(super) fn is_quiet(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        let peeked = match self {
            Self::Tcp(stream) => SockRef::from(stream).peek(&mut byte),
            #[cfg(unix)]
            Self::Unix(stream) => SockRef::from(stream).peek(&mut byte),
        };
        matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let read = match self {
                Self::Tcp(stream) => {
                    ready!(stream.poll_read_ready(cx))?;
                    stream.try_read(buf)
                }
                #[cfg(unix)]
                Self::Unix(stream) => {
                    ready!(stream.poll_read_ready(cx))?;
                    stream.try_read(buf)
                }
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                read => return Poll::Ready(read),
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let written = match self {
                Self::Tcp(stream) => {
                    ready!(stream.poll_write_ready(cx))?;
                    stream.try_write(buf)
                }
                #[cfg(unix)]
                Self::Unix(stream) => {
                    ready!(stream.poll_write_ready(cx))?;
                    stream.try_write(buf)
                }
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => return Poll::Ready(written),
            }
        }
    }
}

/// The stream of one exchange: a command, and the one reply to it.
///
/// Holds the command back until its reply is waited for, so that it leaves in one write, and passes on no byte of a
/// reply that [`Reply`] has not approved.
pub(super) struct Guard<'a> {
    stream: &'a Stream,
    outbox: Vec<u8>,
    written: usize,
    has_sent: &'a mut bool,
    inbox: Vec<u8>,
    approved: usize,
    reply: Reply<'a>,
}

impl<'a> Guard<'a> {
    /// Sets `has_sent` before the first byte of the command leaves.
    pub(super) fn new(stream: &'a Stream, expected: Expected<'a>, has_sent: &'a mut bool) -> Self {
        *has_sent = false;
        Self {
            stream,
            outbox: Vec::new(),
            written: 0,
            has_sent,
            inbox: Vec::new(),
            approved: 0,
            reply: Reply::new(expected),
        }
    }

    /// Checks that the whole reply was read, and nothing after it.
    pub(super) fn finish(self) -> io::Result<()> {
        if self.reply.is_done() && self.inbox.is_empty() && self.written == self.outbox.len() {
            Ok(())
        } else {
            Err(Surprise::Unasked.into())
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.outbox.get(self.written..).filter(|rest| !rest.is_empty()) {
            let written = ready!(self.stream.poll_write(cx, rest))?;
            *self.has_sent = true;
            self.written += written;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Guard<'_> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        loop {
            if this.approved == 0 && !this.inbox.is_empty() {
                this.approved = this.reply.approve(&this.inbox)?;
            }
            if this.approved > 0 {
                let passed = this.approved.min(out.remaining());
                out.put_slice(this.inbox.get(..passed).unwrap_or_default());
                this.inbox.drain(..passed);
                this.approved -= passed;
                return Poll::Ready(Ok(()));
            }
            if this.reply.is_done() || out.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            // The inbox is empty inside a body, since all of a body is approved at sight: a large value is read into
            // its place, not through the inbox.
            let body = this.reply.body_left().min(out.remaining());
            if body > 0 {
                let buf = out.initialize_unfilled_to(body);
                let read = ready!(this.stream.poll_read(cx, buf))?;
                this.reply.approve(buf.get(..read).unwrap_or_default())?;
                out.advance(read);
                return Poll::Ready(Ok(()));
            }
            let mut chunk = [0; CHUNK];
            let read = ready!(this.stream.poll_read(cx, &mut chunk))?;
            this.inbox.extend_from_slice(chunk.get(..read).unwrap_or_default());
        }
    }
}

impl AsyncWrite for Guard<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().outbox.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    /// Does nothing: every command ends with a reply, and reading it sends what was written.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
