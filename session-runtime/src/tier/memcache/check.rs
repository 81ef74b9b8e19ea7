//! Whether the name of a server leads to one memcached.
//!
//! Where it leads to several (a name with several addresses, a load balancer), a writer's fence goes to one of them and a
//! reader's `get` to another, which still has the old value.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

use super::config::Address;
use super::server::Server;

/// How many of a name's addresses are tried. DNS answers with few.
const MAX_ADDRESSES: usize = 8;
/// How many connections each address gets: a load balancer hands them to its servers in turn or at random.
const CONNECTIONS: usize = 4;

/// Compares the lives that connections lead to. A server that does not answer is taken for one.
///
/// # Errors
/// A connection that broke, or an unexpected reply.
pub(super) async fn is_one_server(server: &Server, connect_timeout: Duration, deadline: Instant) -> io::Result<bool> {
    lead_to_one_server(server.addresses().await?, connect_timeout, deadline).await
}

async fn lead_to_one_server(addresses: Vec<Address>, connect_timeout: Duration, deadline: Instant) -> io::Result<bool> {
    let mut connections = Vec::new();
    for address in addresses.into_iter().take(MAX_ADDRESSES) {
        let server = Server::new(address, CONNECTIONS);
        for _ in 0..CONNECTIONS {
            match server.open(connect_timeout).await {
                Ok(connection) => connections.push(connection),
                Err(_) => break,
            }
        }
    }
    let Some((first, others)) = connections.split_first() else {
        return Ok(true);
    };
    let mut life = first.life(deadline).await?;
    for other in others {
        if other.life(deadline).await? == life {
            continue;
        }
        // Where the value was flushed or evicted in between, both find the one that took its place.
        life = first.life(deadline).await?;
        if other.life(deadline).await? != life {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers every command as a memcached whose life has this name does.
    async fn server(life: &'static str) -> Address {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Ip(listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let answer = format!("VALUE session-life 0 {} 1\r\n{life}\r\nEND\r\n", life.len());
                    while stream.read_line(&mut String::new()).await.is_ok_and(|len| len > 0) {
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        address
    }

    /// As a name does that has several addresses.
    #[tokio::test]
    async fn addresses_of_several_servers_are_told_from_those_of_one() {
        let timeout = Duration::from_secs(10);
        let (one, same, other) = (server("a").await, server("a").await, server("b").await);
        let nobody = Address::Ip("127.0.0.1:1".parse().unwrap());
        for (addresses, is_one) in [
            (vec![one.clone()], true),
            (vec![one.clone(), same.clone()], true),
            (vec![one.clone(), nobody.clone()], true),
            (vec![nobody.clone(), one.clone(), same, other.clone()], false),
            (vec![other, one], false),
            (vec![nobody], true),
        ] {
            let deadline = Instant::now() + timeout;
            let found = lead_to_one_server(addresses.clone(), timeout, deadline).await.unwrap();
            assert_eq!(found, is_one, "{addresses:?}");
        }
    }

    #[tokio::test]
    async fn a_name_leads_to_its_addresses() {
        let server = Server::new(Address::parse("localhost:11211").unwrap(), 1);
        let addresses = server.addresses().await.unwrap();
        let is_loopback = |address: &Address| matches!(address, Address::Ip(address) if address.ip().is_loopback());
        assert!(
            !addresses.is_empty() && addresses.iter().all(is_loopback),
            "{addresses:?}"
        );
    }
}
