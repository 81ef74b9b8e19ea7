//! Whether the name of a server leads to one memcached.
//!
//! Where it leads to several (a name with several addresses, a load balancer), a writer's fence goes to one of them and a
//! reader's `get` to another, which still has the old value.

use std::io;
use std::time::Duration;

use super::command::{Command, Reply};
use super::connection::Server;

/// How many of a name's addresses are tried. DNS answers with few.
const MAX_ADDRESSES: usize = 8;
/// How many connections each address gets: a load balancer hands them to its servers in turn or at random.
const CONNECTIONS: usize = 4;
/// In seconds: longer than the check takes.
const EXPTIME: u32 = 60;
/// More than what is stored, in bytes.
const MAX_LEN: usize = 1024;

/// Stores a value over one connection, and reads it over others. A server that does not answer is taken for one.
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
    let key = format!("session-check.{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let command = Command::Set {
        value: b"1",
        exptime: EXPTIME,
    };
    first.exchange(command, &key, MAX_LEN).await?;
    for connection in others {
        if !matches!(
            connection.exchange(Command::Get, &key, MAX_LEN).await?,
            Reply::Value(..)
        ) {
            return Ok(false);
        }
    }
    Ok(true)
}
