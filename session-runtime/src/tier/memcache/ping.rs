//! Whether the servers answer, for a health check.

use std::future::poll_fn;
use std::task::Poll;

use tokio::time::Instant;

use super::command::Command;
use super::placement::Named;
use super::server::Server;
use super::{Memcache, has_replied};
use crate::tier::TierError;
use crate::tier::traits::PING_KEY;

impl Memcache {
    /// Asks each server, side by side; the names of those that did not answer.
    ///
    /// # Errors
    /// None answered: that of the first.
    pub(super) async fn ping_servers(&self) -> Result<Vec<String>, TierError> {
        let mut pings: Vec<_> = self
            .servers
            .iter()
            .map(|named| Box::pin(self.ping_server(named)))
            .collect();
        let mut outcomes: Vec<_> = self.servers.iter().map(|_| None).collect();
        poll_fn(|context| {
            for (ping, outcome) in pings.iter_mut().zip(&mut outcomes) {
                if outcome.is_none()
                    && let Poll::Ready(done) = ping.as_mut().poll(context)
                {
                    *outcome = Some(done);
                }
            }
            if outcomes.iter().all(Option::is_some) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
        let failed = self.servers.iter().zip(outcomes);
        let failed = failed.filter_map(|(named, outcome)| Some((named.name.clone(), outcome?.err()?)));
        let (silent, errors): (Vec<_>, Vec<_>) = failed.unzip();
        let is_silent = silent.len() == self.servers.len();
        match errors.into_iter().next().filter(|_| is_silent) {
            Some(error) => Err(error),
            None => Ok(silent),
        }
    }

    /// Sent even while the breaker is open. An answer closes it; none is not counted, so that checks take no load off a
    /// server that requests can do with.
    async fn ping_server(&self, Named { name, server }: &Named<Server>) -> Result<(), TierError> {
        let outcome = self
            .execute_on(server, PING_KEY, Command::Get, Instant::now() + self.timeout)
            .await;
        if !has_replied(&outcome) {
            return outcome.map(drop);
        }
        if server.breaker.record_answer(Instant::now()) {
            tracing::info!(server = name, "memcached answers again");
        }
        Ok(())
    }
}
