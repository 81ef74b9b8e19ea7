//! Which life of which memcached a connection leads to.
//!
//! A memcached counts its cas uniques from 1. So one that was restarted, or another one that has taken over the name, gives
//! other values the same numbers, and a cas with a number from before would replace a value that was never read. That
//! connections were closed in between cannot be relied on: a host that loses its power closes none, and a name may lead
//! new connections to another server while the old ones go on.
//!
//! So a memcached is asked once over each connection, which cannot outlive it, for a random value that it keeps under
//! [`KEY`]. A token is the cas unique XOR a hash of that: over a connection to another life it becomes a cas unique that no
//! value has, and memcached answers that the value has changed. Where that value was evicted or flushed, a new one takes
//! its place, and tokens from before count as changed too, which is safe.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use super::command::{Command, Reply};
use super::pipeline::Queue;
use super::reply::ProtocolError;

/// The key of the random value, one for all that use the server.
const KEY: &str = "session-life";
/// Longer than the value, in bytes; a longer one is not of this crate's making.
const MAX_LEN: usize = 64;
/// An `exptime` that does not expire.
const NEVER: u32 = 0;
/// How often the value may be found missing, and then stored by another process, before the server is given up.
const ATTEMPTS: u32 = 3;

/// The random value of the memcached at the other end, stored now if there is none.
pub(super) async fn life_of_server(queue: &Queue, deadline: Instant) -> io::Result<Vec<u8>> {
    // These tell nothing of the command that the connection was taken for.
    let mut has_sent = false;
    for _ in 0..ATTEMPTS {
        let reply = Command::Get.exchange(queue, KEY, MAX_LEN, deadline, &mut has_sent);
        if let Reply::Value(life, _) = reply.await? {
            return Ok(life);
        }
        let life = format!("{:016x}", fastrand::u64(..)).into_bytes();
        let add = Command::Add {
            value: &life,
            exptime: NEVER,
        };
        let reply = add.exchange(queue, KEY, MAX_LEN, deadline, &mut has_sent);
        if let Reply::Done = reply.await? {
            return Ok(life);
        }
    }
    Err(ProtocolError::UnexpectedReply.into())
}

/// The salts of the lives of one server.
#[derive(Default)]
pub(super) struct Salts {
    /// Keyed at random, so that nobody who can write to the server chooses a salt.
    hasher: RandomState,
    /// That of the life that was met last; 0 for none.
    latest: AtomicU64,
}

impl Salts {
    /// The salt of a life, which is from now on the latest.
    pub(super) fn of_life(&self, life: &[u8]) -> u64 {
        let salt = self.hasher.hash_one(life).max(1);
        self.latest.store(salt, Ordering::Relaxed);
        salt
    }

    /// Whether no other life was met since.
    pub(super) fn is_latest(&self, salt: u64) -> bool {
        self.latest.load(Ordering::Relaxed) == salt
    }
}
