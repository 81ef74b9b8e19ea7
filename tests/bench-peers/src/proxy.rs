//! Counts the round trips to a service: how often something is sent after something was received.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The port of the proxy, which ends with the runtime, and its count.
pub(crate) async fn start(service: u16) -> io::Result<(u16, Arc<AtomicU64>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let trips = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&trips);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, service, Arc::clone(&count)));
        }
    });
    Ok((port, trips))
}

async fn pass(mut client: TcpStream, service: u16, trips: Arc<AtomicU64>) -> io::Result<()> {
    let mut service = TcpStream::connect(("127.0.0.1", service)).await?;
    client.set_nodelay(true)?;
    service.set_nodelay(true)?;
    let (mut asked, mut answered) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    let mut is_answered = true;
    loop {
        tokio::select! {
            len = client.read(&mut asked) => match len? {
                0 => return Ok(()),
                len => {
                    trips.fetch_add(u64::from(is_answered), Relaxed);
                    is_answered = false;
                    service.write_all(&asked[..len]).await?;
                }
            },
            len = service.read(&mut answered) => match len? {
                0 => return Ok(()),
                len => {
                    is_answered = true;
                    client.write_all(&answered[..len]).await?;
                }
            },
        }
    }
}
