//! Which life of which server a value was written in.
//!
//! A server that is restarted has again what its last snapshot has, and one that takes over from another has what had
//! been copied to it. Both may have an older value where a later one had been acknowledged. So each value begins with
//! the *life* in which it was written, and counts in no other.
//!
//! A life is what the server calls itself: `run_id`, new with every start, and `master_replid`, new when it becomes the
//! primary. Neither is ever used again. A server that forgets that it has replicas takes another `master_replid` too:
//! then what it has cached counts no more, which is safe.

use sha2::{Digest, Sha256};

/// The length of a [`Life`], in bytes.
pub(super) const LIFE_LEN: usize = 8;

/// Names a life of a server: the first bytes of SHA-256(`run_id`, a space, `master_replid`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life(pub(super) [u8; LIFE_LEN]);

/// Why a server cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error(
        "it is a replica, which may be behind its primary and takes no writes: name the primary, or a name that follows it"
    )]
    Replica,
    #[error("it is version {0}: 6.0 or later is needed")]
    TooOld(String),
    #[error("it is a node of a cluster, which is not supported: name a server that has all keys")]
    Cluster,
    #[error("it does not say what it is: `INFO` must show redis_version, run_id, role and master_replid")]
    Nameless,
}

/// The value of a field of `INFO`.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = info.lines();
    let value = lines
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?
        .trim();
    Some(value).filter(|value| !value.is_empty())
}

/// The run id of a server of a version that can be used, from the section `server`.
pub(super) fn run_id(server: &str) -> Result<&str, Unfit> {
    let version = field(server, "redis_version").ok_or(Unfit::Nameless)?;
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    // The oldest that is tested against, and the first whose users have names.
    if major.ok_or(Unfit::Nameless)? < 6 {
        return Err(Unfit::TooOld(version.to_owned()));
    }
    if field(server, "redis_mode") == Some("cluster") {
        return Err(Unfit::Cluster);
    }
    field(server, "run_id").ok_or(Unfit::Nameless)
}

/// The life of a primary, from its run id and the section `replication`.
pub(super) fn life_of_primary(run_id: &str, replication: &str) -> Result<Life, Unfit> {
    let role = field(replication, "role").ok_or(Unfit::Nameless)?;
    if role != "master" {
        return Err(Unfit::Replica);
    }
    let id = field(replication, "master_replid").ok_or(Unfit::Nameless)?;
    let digest = Sha256::digest(format!("{run_id} {id}"));
    let mut life = [0; LIFE_LEN];
    for (byte, hashed) in life.iter_mut().zip(digest) {
        *byte = hashed;
    }
    Ok(Life(life))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:aaaa\r\n";
    const PRIMARY: &str = "# Replication\r\nrole:master\r\nmaster_replid:bbbb\r\nmaster_replid2:0000\r\n";

    #[test]
    fn a_server_of_a_version_that_can_be_used_has_a_run_id() {
        assert_eq!(run_id(SERVER), Ok("aaaa"));
        for version in ["6.0.0", "8.2.1", "10.0"] {
            assert_eq!(run_id(&SERVER.replace("7.0.15", version)), Ok("aaaa"));
        }
        let old = SERVER.replace("7.0.15", "5.0.14");
        assert_eq!(run_id(&old), Err(Unfit::TooOld("5.0.14".to_owned())));
        assert_eq!(run_id(&SERVER.replace("standalone", "cluster")), Err(Unfit::Cluster));
        for unclear in ["", "redis_version:x\r\nrun_id:a", "redis_version:7.0\r\nrun_id:\r\n"] {
            assert_eq!(run_id(unclear), Err(Unfit::Nameless), "{unclear:?}");
        }
    }

    #[test]
    fn a_life_ends_with_the_run_and_with_the_reign() {
        let life = life_of_primary("aaaa", PRIMARY).unwrap();
        assert_eq!(life_of_primary("aaaa", PRIMARY), Ok(life));
        assert_ne!(life_of_primary("cccc", PRIMARY), Ok(life));
        assert_ne!(life_of_primary("aaaa", &PRIMARY.replace("bbbb", "cccc")), Ok(life));
        let replica = PRIMARY.replace("master\r", "slave\r");
        assert_eq!(life_of_primary("aaaa", &replica), Err(Unfit::Replica));
        assert_eq!(life_of_primary("aaaa", "role:master\r\n"), Err(Unfit::Nameless));
    }
}
