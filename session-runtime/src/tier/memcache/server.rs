//! A server and the connections to it: opened when needed, and closed as soon as they may be out of sync.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::config::Address;
use super::connection::Connection;
use super::life::Salts;
use super::stream::Stream;
use crate::tier::breaker::Breaker;
use crate::tier::network::{self, Resolver};

/// A connection with this many exchanges is left to them while there is another: a value of a megabyte, or a lost packet,
/// holds up all behind it.
const BUSY: usize = 32;

/// No connection to a server could be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to the memcached server {server}: check that it runs and can be reached from here")]
pub(super) struct ConnectError {
    server: Address,
    source: io::Error,
}

/// A server and the connections to it.
pub(super) struct Server {
    pub(super) breaker: Breaker,
    address: Address,
    slots: Vec<Slot>,
    resolver: Resolver,
    salts: Arc<Salts>,
}

/// The place of one connection.
#[derive(Default)]
struct Slot {
    connection: Mutex<Option<Arc<Connection>>>,
    /// Held by the one who opens it.
    opening: tokio::sync::Mutex<()>,
}

impl Slot {
    fn connection(&self) -> Option<Arc<Connection>> {
        let mut slot = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|connection| !connection.is_usable()) {
            *slot = None;
        }
        slot.clone()
    }

    fn fill(&self, connection: &Arc<Connection>) {
        let mut slot = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(Arc::clone(connection));
    }
}

impl Server {
    /// Connects to nothing yet.
    pub(super) fn new(address: Address, connections: usize) -> Self {
        Self {
            breaker: Breaker::default(),
            address,
            slots: slots(connections),
            resolver: Resolver::default(),
            salts: Arc::default(),
        }
    }

    pub(super) fn with_connections(self, connections: usize) -> Self {
        Self {
            slots: slots(connections),
            ..self
        }
    }

    /// The addresses that its name leads to.
    pub(super) async fn addresses(&self) -> io::Result<Vec<Address>> {
        match &self.address {
            Address::Name(name, port) => {
                let addresses = self.resolver.resolve(name.clone(), *port).await?;
                Ok(addresses.into_iter().map(Address::Ip).collect())
            }
            address => Ok(vec![address.clone()]),
        }
    }

    /// The first connection that is not busy, or the least busy one. The caller bounds the wait.
    pub(super) async fn connection(&self, connect_timeout: Duration) -> Result<Arc<Connection>, ConnectError> {
        let mut least: Option<(usize, Arc<Connection>)> = None;
        for slot in &self.slots {
            let Some(connection) = slot.connection() else {
                return match (self.fill(slot, connect_timeout).await, least) {
                    // A busy one is better than none.
                    (Err(_), Some((_, connection))) => Ok(connection),
                    (filled, _) => filled,
                };
            };
            let exchanges = connection.queue.len();
            if exchanges < BUSY {
                return Ok(connection);
            }
            if least.as_ref().is_none_or(|(fewest, _)| exchanges < *fewest) {
                least = Some((exchanges, connection));
            }
        }
        match least {
            Some((_, connection)) => Ok(connection),
            None => self.open(connect_timeout).await.map(Arc::new),
        }
    }

    async fn fill(&self, slot: &Slot, connect_timeout: Duration) -> Result<Arc<Connection>, ConnectError> {
        let _opening = slot.opening.lock().await;
        if let Some(connection) = slot.connection() {
            return Ok(connection);
        }
        let connection = Arc::new(self.open(connect_timeout).await?);
        slot.fill(&connection);
        Ok(connection)
    }

    /// Opens a connection that nobody else uses.
    pub(super) async fn open(&self, connect_timeout: Duration) -> Result<Connection, ConnectError> {
        let stream = timeout(connect_timeout, self.connect()).await;
        match stream.unwrap_or_else(|elapsed| Err(io::Error::new(io::ErrorKind::TimedOut, elapsed))) {
            Ok(stream) => Ok(Connection::new(stream, Arc::clone(&self.salts))),
            Err(source) => Err(ConnectError {
                server: self.address.clone(),
                source,
            }),
        }
    }

    async fn connect(&self) -> io::Result<Stream> {
        let stream = match &self.address {
            Address::Ip(address) => network::connect(&[*address]).await?,
            Address::Name(name, port) => network::connect(&self.resolver.resolve(name.clone(), *port).await?).await?,
            #[cfg(unix)]
            Address::Unix(path) => return Ok(Stream::Unix(tokio::net::UnixStream::connect(path).await?)),
        };
        Ok(Stream::Tcp(stream))
    }
}

fn slots(connections: usize) -> Vec<Slot> {
    (0..connections.max(1)).map(|_| Slot::default()).collect()
}
