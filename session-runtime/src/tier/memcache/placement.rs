//! Which server a key lives on: rendezvous hashing, the same in every process, build and version.
//!
//! Two processes that disagree about a key's server each have a cache of their own for it, and neither sees the other's
//! fences. So the weights are pinned here (SHA-256, of bytes that are spelled out) rather than left to a hasher whose
//! output may change; the crate only ranks them, by weight and then by name, in integers.

use std::hash::{Hash, Hasher};

use rendezvous_hash::{KeyValueNode, NodeHasher, RendezvousNodes};
use sha2::{Digest, Sha256};

/// Servers (`S`) by their canonical names.
pub(super) type Servers<S> = RendezvousNodes<KeyValueNode<String, S>, Weights>;

/// The server that `key` lives on. `None` without servers.
pub(super) fn server_of<'a, S>(servers: &'a Servers<S>, key: &str) -> Option<&'a KeyValueNode<String, S>> {
    servers.calc_candidates(&Key(key)).next()
}

/// The weight of a key on a server: the first 8 bytes, big-endian, of
/// SHA-256(length of the server's name as 8 bytes big-endian, the name, the key).
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights;

impl NodeHasher<String> for Weights {
    fn hash<T: Hash>(&self, name: &String, key: &T) -> u64 {
        let mut sha = Sha256::new();
        sha.update((name.len() as u64).to_be_bytes());
        sha.update(name.as_bytes());
        let mut hasher = ByteHasher(sha);
        key.hash(&mut hasher);
        hasher.finish()
    }
}

/// `str` hashes itself with a suffix that nothing promises; this writes the bytes and no more.
struct Key<'a>(&'a str);

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.0.as_bytes());
    }
}

struct ByteHasher(Sha256);

impl Hasher for ByteHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest
            .iter()
            .take(8)
            .fold(0, |weight, byte| weight << 8 | u64::from(*byte))
    }
}
