//! TCP connections to servers: names that are looked up one at a time, and idle connections that are probed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;

/// When an idle connection is probed, so that routers do not forget it, and that one whose peer has vanished without
/// closing it is closed within a minute: after 15 s, and Linux's nine probes.
fn keepalive() -> TcpKeepalive {
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(15));
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "windows"))]
    let keepalive = keepalive.with_interval(Duration::from_secs(5));
    keepalive
}

/// Connects to the first of these addresses that accepts.
pub(super) async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addresses).await?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&keepalive())?;
    Ok(stream)
}

/// Looks up the name of one server.
pub(super) struct Resolver {
    /// Limits the lookups that run at the same time.
    permits: Arc<Semaphore>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Resolver {
    /// The addresses of a name. A lookup blocks a thread until the system's own timeout, even after the caller's has
    /// passed, so there is at most one at a time.
    pub(super) async fn resolve(&self, name: String, port: u16) -> io::Result<Vec<SocketAddr>> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(io::Error::other)?;
        let lookup = tokio::spawn(async move {
            let addresses = lookup_host((name, port)).await.map(Iterator::collect);
            drop(permit);
            addresses
        });
        lookup.await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_idle_connection_is_probed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = connect(&[listener.local_addr().unwrap()]).await.unwrap();
        assert!(SockRef::from(&stream).keepalive().unwrap());
    }
}
