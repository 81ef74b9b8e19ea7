//! A socket to memcached, and the stream between it and `memcache-async` that checks each reply.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use super::reply::{Expected, ProtocolError, ReplyChecker};

/// The size of one read, in bytes, while the length of the reply is not known.
const CHUNK: usize = 4096;

/// A connected socket.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Stream {
    /// Whether the peer has neither closed the connection nor sent anything. Between a reply and the next command,
    /// anything else means that the connection is out of sync.
    ///
    /// Asks the operating system, since tokio updates its readiness only when its driver runs, and would accept a
    /// connection that a restarted server has closed.
    pub(super) fn is_idle(&self) -> bool {
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

/// The stream of one exchange: a command and its one reply.
///
/// Buffers the command until its reply is read, so that it is sent in one write, and passes on only those bytes of a
/// reply that a [`ReplyChecker`] has accepted.
pub(super) struct CheckedStream<'a> {
    stream: &'a Stream,
    write_buffer: Vec<u8>,
    written: usize,
    has_sent: &'a mut bool,
    read_buffer: Vec<u8>,
    /// How many bytes at the start of `read_buffer` may be passed on.
    checked: usize,
    checker: ReplyChecker<'a>,
}

impl<'a> CheckedStream<'a> {
    /// Sets `has_sent` to whether any byte of the command was sent.
    pub(super) fn new(stream: &'a Stream, expected: Expected<'a>, has_sent: &'a mut bool) -> Self {
        *has_sent = false;
        Self {
            stream,
            write_buffer: Vec::new(),
            written: 0,
            has_sent,
            read_buffer: Vec::new(),
            checked: 0,
            checker: ReplyChecker::new(expected),
        }
    }

    /// Checks that the command was sent, and its reply read to the end with nothing after it.
    pub(super) fn finish(self) -> io::Result<()> {
        if self.checker.is_done() && self.read_buffer.is_empty() && self.written == self.write_buffer.len() {
            Ok(())
        } else {
            Err(ProtocolError::Unsolicited.into())
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.write_buffer.get(self.written..).filter(|rest| !rest.is_empty()) {
            let written = ready!(self.stream.poll_write(cx, rest))?;
            *self.has_sent = true;
            self.written += written;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for CheckedStream<'_> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        loop {
            if this.checked == 0 && !this.read_buffer.is_empty() {
                this.checked = this.checker.check(&this.read_buffer)?;
            }
            if this.checked > 0 {
                let passed = this.checked.min(out.remaining());
                out.put_slice(this.read_buffer.get(..passed).unwrap_or_default());
                this.read_buffer.drain(..passed);
                this.checked -= passed;
                return Poll::Ready(Ok(()));
            }
            if this.checker.is_done() || out.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            // The read buffer is empty inside a value, since any bytes of a value are accepted at once: a large value is
            // read straight into the caller's buffer.
            let body = this.checker.body_left().min(out.remaining());
            if body > 0 {
                let buf = out.initialize_unfilled_to(body);
                let read = ready!(this.stream.poll_read(cx, buf))?;
                this.checker.check(buf.get(..read).unwrap_or_default())?;
                out.advance(read);
                return Poll::Ready(Ok(()));
            }
            let mut chunk = [0; CHUNK];
            let read = ready!(this.stream.poll_read(cx, &mut chunk))?;
            this.read_buffer
                .extend_from_slice(chunk.get(..read).unwrap_or_default());
        }
    }
}

impl AsyncWrite for CheckedStream<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().write_buffer.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    /// Does nothing: reading the reply sends the command.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
