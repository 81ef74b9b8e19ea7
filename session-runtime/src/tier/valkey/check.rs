//! What is checked of the server when a store is built.

use std::error::Error;
use std::time::Duration;

use super::call_error::NAME;
use super::life::Unfit;
use super::server::{ConnectError, Server};
use crate::tier::{TierError, TierErrorKind};

/// How many of a name's addresses are tried. DNS answers with few.
const MAX_ADDRESSES: usize = 8;
/// How many connections each address gets: a load balancer hands them to its servers in turn or at random.
const CONNECTIONS: usize = 4;

/// Refuses a server that cannot be used, and a name that leads to several. One that does not answer is left to itself.
pub(super) async fn check(server: &Server, connect_timeout: Duration) -> Result<(), TierError> {
    let refused = |source: Box<dyn Error + Send + Sync>| {
        Err(TierError::new(NAME, "check", TierErrorKind::Refused).with_source(source))
    };
    let places = server.address.count().await.unwrap_or(1).clamp(1, MAX_ADDRESSES);
    let mut first = None;
    for place in 0..places {
        for _ in 0..CONNECTIONS {
            let connection = match server.open(place, connect_timeout).await {
                Ok(connection) => connection,
                Err(error) if is_refused(&error) => return refused(error.into()),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn Error,
                        "Valkey does not answer: it was not checked"
                    );
                    break;
                }
            };
            let is_same = first.as_ref().is_none_or(|first| connection.is_of_same_server(first));
            if is_same {
                first = Some(connection);
            } else {
                let text = format!(
                    "{} leads to several servers, so that a writer and a reader of one session would use different ones: \
                     name one of them, or a name that leads to the primary alone",
                    server.address
                );
                return refused(text.into());
            }
        }
    }
    Ok(())
}

fn is_refused(error: &ConnectError) -> bool {
    error.is_lasting || error.unfit() == Some(&Unfit::Replica)
}
