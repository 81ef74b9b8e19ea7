//! A connection to a memcached server, which many operations share.

use std::io;
use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::command::{Command, Reply};
use super::life::{Salts, life_of_server};
use super::pipeline::{self, Queue};
use super::stream::Stream;

/// A connection. A task owns its socket, and ends when this is dropped.
pub(super) struct Connection {
    pub(super) queue: Arc<Queue>,
    /// What its tokens are salted with; empty until it gives or takes one.
    salt: OnceCell<u64>,
    salts: Arc<Salts>,
}

impl Connection {
    pub(super) fn new(stream: Stream, salts: Arc<Salts>) -> Self {
        let queue = Arc::default();
        tokio::spawn(pipeline::run(stream, Arc::clone(&queue)));
        Self {
            queue,
            salt: OnceCell::new(),
            salts,
        }
    }

    /// Sends `command` and waits for the whole reply, until `deadline`; sets `has_sent` to whether any byte of the command
    /// may have been sent.
    ///
    /// It may be dropped at any point: the reply passes unread.
    pub(super) async fn exchange(
        &self,
        command: Command<'_>,
        key: &str,
        max_len: usize,
        deadline: Instant,
        has_sent: &mut bool,
    ) -> io::Result<Reply> {
        *has_sent = false;
        let command = match command {
            Command::Cas { value, exptime, token } => {
                let cas = token ^ self.salt(deadline).await?;
                Command::Cas {
                    value,
                    exptime,
                    token: cas,
                }
            }
            other => other,
        };
        let reply = command.exchange(&self.queue, key, max_len, deadline, has_sent);
        match reply.await? {
            Reply::Value(value, cas) => Ok(Reply::Value(value, cas ^ self.salt(deadline).await?)),
            reply => Ok(reply),
        }
    }

    /// Asks which life of which server it leads to.
    pub(super) async fn life(&self, deadline: Instant) -> io::Result<Vec<u8>> {
        life_of_server(&self.queue, deadline).await
    }

    async fn salt(&self, deadline: Instant) -> io::Result<u64> {
        if let Some(salt) = self.salt.get() {
            return Ok(*salt);
        }
        let ask = || async { Ok(self.salts.of_life(&self.life(deadline).await?)) };
        // On the heap: it is large, and the future of each exchange would hold it.
        Box::pin(self.salt.get_or_try_init(ask)).await.copied()
    }

    /// Whether it can be used: it is open, and leads to the life of the server that was met last.
    pub(super) fn is_usable(&self) -> bool {
        !self.queue.is_closed() && self.salt.get().is_none_or(|salt| self.salts.is_latest(*salt))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.queue.close();
    }
}
