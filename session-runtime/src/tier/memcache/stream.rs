//! A socket to memcached.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio_util::io::poll_read_buf;

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

    /// Appends what has arrived to `buf`, which has room. The end of the stream is an error.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<()>> {
        let read = match self {
            Self::Tcp(stream) => poll_read_buf(Pin::new(stream), cx, buf),
            #[cfg(unix)]
            Self::Unix(stream) => poll_read_buf(Pin::new(stream), cx, buf),
        };
        Poll::Ready(match ready!(read)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        })
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match self {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        Poll::Ready(match ready!(written)? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            written => Ok(written),
        })
    }
}
