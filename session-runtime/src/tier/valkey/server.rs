//! A server and the connection to it: opened when it is needed, and closed as soon as it may be out of step.

use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::ErrorKind;
use tokio::time::timeout;

use super::address::Address;
use super::call_error::{CallError, is_transient};
use super::connection::{Connection, HandshakeError};
use super::life::Unfit;
use crate::tier::breaker::Breaker;

/// No connection to a server could be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot connect to Valkey or Redis at {server}: check that it runs and can be reached from here, that user and password \
     are right, and, over TLS, that its certificate is trusted and names it"
)]
pub(super) struct ConnectError {
    server: String,
    /// Whether it will be the same again.
    pub(super) is_lasting: bool,
    source: Box<dyn Error + Send + Sync>,
}

impl ConnectError {
    fn new(server: &Address, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            server: server.to_string(),
            is_lasting: false,
            source: source.into(),
        }
    }

    /// Why the server cannot be used, if it answers.
    pub(super) fn unfit(&self) -> Option<&Unfit> {
        match self.source.downcast_ref()? {
            HandshakeError::Unfit(unfit) => Some(unfit),
            HandshakeError::Client(_) => None,
        }
    }
}

impl From<ConnectError> for CallError {
    fn from(error: ConnectError) -> Self {
        if error.is_lasting {
            Self::Refused(error.into())
        } else {
            Self::NotSent(error.into())
        }
    }
}

/// A server, and the connection to it.
pub(super) struct Server {
    pub(super) breaker: Breaker,
    pub(super) address: Address,
    connection: Mutex<Option<Arc<Connection>>>,
    /// Held by the one who opens it.
    opening: tokio::sync::Mutex<()>,
}

impl Server {
    /// Connects to nothing yet.
    pub(super) fn new(address: Address) -> Self {
        Self {
            breaker: Breaker::default(),
            address,
            connection: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
        }
    }

    /// The connection that all calls share. The caller bounds the wait.
    pub(super) async fn connection(&self, connect_timeout: Duration) -> Result<Arc<Connection>, ConnectError> {
        if let Some(connection) = self.usable() {
            return Ok(connection);
        }
        let _opening = self.opening.lock().await;
        if let Some(connection) = self.usable() {
            return Ok(connection);
        }
        let connection = Arc::new(self.open(0, connect_timeout).await?);
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&connection));
        Ok(connection)
    }

    fn usable(&self) -> Option<Arc<Connection>> {
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        connection.clone().filter(|connection| connection.is_usable())
    }

    /// Opens a connection that nobody else uses, to the first place that its name leads to but for `skip` of them.
    pub(super) async fn open(&self, skip: usize, connect_timeout: Duration) -> Result<Connection, ConnectError> {
        let opened = timeout(connect_timeout, async {
            let stream = self.address.connect(skip).await;
            let stream = stream.map_err(|error| ConnectError::new(&self.address, error))?;
            let connection = Connection::open(stream, &self.address.login).await;
            connection.map_err(|error| ConnectError {
                is_lasting: is_lasting(&error),
                ..ConnectError::new(&self.address, error)
            })
        });
        opened.await.unwrap_or_else(|elapsed| {
            let source = io::Error::new(io::ErrorKind::TimedOut, elapsed);
            Err(ConnectError::new(&self.address, source))
        })
    }
}

/// Whether a server that answers so will answer so again. A replica may be the primary in a moment.
fn is_lasting(error: &HandshakeError) -> bool {
    match error {
        HandshakeError::Unfit(unfit) => *unfit != Unfit::Replica,
        HandshakeError::Client(error) => match error.kind() {
            ErrorKind::AuthenticationFailed => true,
            ErrorKind::Server(_) | ErrorKind::Extension => !is_transient(error),
            _ => false,
        },
    }
}
