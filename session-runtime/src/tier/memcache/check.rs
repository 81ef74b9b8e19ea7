//! Whether the name of a server leads to one memcached.
//!
//! Where it leads to several (a name with several addresses, a load balancer), a writer's fence goes to one of them and a
//! reader's `get` to another, which still has the old value.

use std::io;
use std::time::Duration;

use super::connection::Server;

/// How many of a name's addresses are tried. DNS answers with few.
const MAX_ADDRESSES: usize = 8;
/// How many connections each address gets: a load balancer hands them to its servers in turn or at random.
const CONNECTIONS: usize = 4;

/// Compares the lives that connections lead to. A server that does not answer is taken for one.
///
/// # Errors
/// A connection that broke, or an unexpected reply.
pub(super) async fn is_one_server(server: &Server, connect_timeout: Duration) -> io::Result<bool> {
    let addresses = server.addresses().await?.into_iter().take(MAX_ADDRESSES);
    let servers: Vec<_> = addresses
        .map(|address| Server::new(address, CONNECTIONS))
        .collect::<io::Result<_>>()?;
    let mut connections = Vec::new();
    for server in &servers {
        for _ in 0..CONNECTIONS {
            // Those are in use until the end, so that each is another one.
            match server.connection(connect_timeout).await {
                Ok(connection) => connections.push(connection),
                Err(_) => break,
            }
        }
    }
    let Some((first, others)) = connections.split_first_mut() else {
        return Ok(true);
    };
    let mut life = first.life().await?;
    for other in others {
        if other.life().await? == life {
            continue;
        }
        // Where the value was flushed or evicted in between, both find the one that took its place.
        life = first.life().await?;
        if other.life().await? != life {
            return Ok(false);
        }
    }
    Ok(true)
}
