//! Which server a key lives on: rendezvous hashing, the same in every process, build and version.
//!
//! Two processes that disagree about a key's server each have a cache of their own for it, and neither sees the other's
//! fences. So every part of the rule is fixed here: the weight, and who wins where two weights are equal.

use sha2::{Digest, Sha256};

/// A server (`S`) under its canonical name.
pub(super) struct Named<S> {
    pub(super) name: String,
    pub(super) server: S,
}

/// The server that `key` lives on. `None` without servers.
pub(super) fn server_of<'a, S>(servers: &'a [Named<S>], key: &str) -> Option<&'a Named<S>> {
    highest(servers, |name| weight(name, key))
}

/// The server of the highest weight, and of those the one whose name is the greatest. One server alone is not weighed.
fn highest<S>(servers: &[Named<S>], weight: impl Fn(&str) -> u64) -> Option<&Named<S>> {
    match servers {
        [only] => Some(only),
        _ => servers.iter().max_by_key(|&Named { name, .. }| (weight(name), name)),
    }
}

/// The weight of a key on a server: the first 8 bytes, big-endian, of
/// SHA-256(length of the server's name as 8 bytes big-endian, the name, the key).
fn weight(name: &str, key: &str) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update((name.len() as u64).to_be_bytes());
    hasher.update(name);
    hasher.update(key);
    let digest = hasher.finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |weight, byte| weight << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(names: &[&str]) -> Vec<Named<()>> {
        let servers = names.iter().map(|name| Named {
            name: (*name).to_owned(),
            server: (),
        });
        servers.collect()
    }

    fn winner(names: &[&str], weight: impl Fn(&str) -> u64) -> Option<String> {
        highest(&servers(names), weight).map(|named| named.name.clone())
    }

    #[test]
    fn the_highest_weight_wins_and_of_equal_ones_the_greatest_name() {
        let weight_of_b = |name: &str| u64::from(name == "b");
        assert_eq!(winner(&["a", "b", "c"], weight_of_b).as_deref(), Some("b"));
        assert_eq!(winner(&["b", "c", "a"], |_| 7).as_deref(), Some("c"));
        assert_eq!(winner(&["c", "b", "a"], |_| 7).as_deref(), Some("c"));
        assert_eq!(winner(&[], |_| 7), None);
    }

    #[test]
    fn one_server_is_not_weighed() {
        let never = |_: &str| panic!("a weight was computed");
        assert_eq!(winner(&["a"], never).as_deref(), Some("a"));
    }
}
