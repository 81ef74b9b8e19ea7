//! The configuration: server addresses, and the two environment variables.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The port of an address without one: memcached's default (`-p`), registered with IANA as `memcache`.
const DEFAULT_PORT: u16 = 11211;
/// The longest host name, in bytes (RFC 1035, section 2.3.4: 255 octets on the wire, of which two are not in the text).
const MAX_HOST_NAME_LEN: usize = 253;

/// A list of memcached servers or an environment variable that cannot be used. Its text says which, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ConfigError(#[from] ConfigErrorKind);

#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigErrorKind {
    #[error("no memcached server: name at least one, as host:port, [ipv6]:port or unix:/path")]
    NoServers,
    #[error("the memcached server {server:?} {reason}; expected host:port, [ipv6]:port or unix:/path")]
    Server { server: String, reason: &'static str },
    #[error("{variable} is not set: list the memcached servers in it, separated by commas")]
    NotSet { variable: &'static str },
    #[error("{variable} is not UTF-8: set it to plain text")]
    NotUnicode { variable: &'static str },
    #[error("{variable} is {value:?}, expected a number of bytes above 0")]
    NotASize { variable: &'static str, value: String },
}

/// Where a server listens.
///
/// Its text is canonical, one for each server: every process places keys by it, so it must not depend on how the
/// address was spelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Ip(SocketAddr),
    Name(String, u16),
    #[cfg(unix)]
    Unix(String),
}

impl Address {
    pub(super) fn parse(server: &str) -> Result<Self, ConfigError> {
        let server = server.trim();
        let error = |reason| {
            let server = server.to_owned();
            ConfigError(ConfigErrorKind::Server { server, reason })
        };
        if let Some(path) = server.strip_prefix("unix:") {
            return Self::parse_unix(path).map_err(error);
        }
        if let Ok(address) = server.parse::<SocketAddr>() {
            return if address.port() == 0 {
                Err(error("has port 0"))
            } else {
                Ok(Self::Ip(address))
            };
        }
        let unbracketed = server.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(ip) = unbracketed.unwrap_or(server).parse::<IpAddr>() {
            return Ok(Self::Ip(SocketAddr::new(ip, DEFAULT_PORT)));
        }
        let (name, port) = match server.rsplit_once(':') {
            None => (server, DEFAULT_PORT),
            Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
                (name, port.parse().map_err(|_| error("has a port above 65535"))?)
            }
            Some(_) => return Err(error("has a port that is not a number")),
        };
        if port == 0 {
            return Err(error("has port 0"));
        }
        let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if name.is_empty() || name.len() > MAX_HOST_NAME_LEN || !name.bytes().all(is_name_byte) {
            return Err(error("has no valid host name"));
        }
        let name = name.to_ascii_lowercase();
        // `127.0.0.1:011211` does not parse as a `SocketAddr`, yet is the same server.
        Ok(match name.parse::<IpAddr>() {
            Ok(ip) => Self::Ip(SocketAddr::new(ip, port)),
            Err(_) => Self::Name(name, port),
        })
    }

    #[cfg(unix)]
    fn parse_unix(path: &str) -> Result<Self, &'static str> {
        // The size of `sun_path` is 108 bytes on Linux, with a terminating zero (unix(7)).
        if !path.starts_with('/') || path.len() > 107 {
            return Err("has no absolute path of at most 107 bytes");
        }
        Ok(Self::Unix(path.to_owned()))
    }

    #[cfg(not(unix))]
    fn parse_unix(_path: &str) -> Result<Self, &'static str> {
        Err("is a Unix socket, which this platform does not have")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            #[cfg(unix)]
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// The settings that the environment holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Environment {
    pub(super) servers: Vec<String>,
    pub(super) max_value_len: Option<usize>,
}

impl Environment {
    /// Reads `MEMCACHE_SERVERS` and `MaxMemcacheSessionSizeBytes` through `variable`.
    pub(super) fn read(variable: impl Fn(&'static str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let text = |name: &'static str| {
            let value = variable(name).map(OsString::into_string).transpose();
            value.map_err(|_| ConfigError(ConfigErrorKind::NotUnicode { variable: name }))
        };
        let servers = text(SERVERS)?.ok_or(ConfigErrorKind::NotSet { variable: SERVERS })?;
        let servers = servers.split(',').map(str::trim).filter(|server| !server.is_empty());
        let max_value_len = text(MAX_VALUE_LEN)?.map(|value| match value.trim().parse() {
            Ok(size) if size > 0 => Ok(size),
            _ => Err(ConfigErrorKind::NotASize {
                variable: MAX_VALUE_LEN,
                value,
            }),
        });
        Ok(Self {
            servers: servers.map(str::to_owned).collect(),
            max_value_len: max_value_len.transpose()?,
        })
    }
}

/// The addresses, separated by commas.
const SERVERS: &str = "MEMCACHE_SERVERS";
/// The largest value, in bytes.
const MAX_VALUE_LEN: &str = "MaxMemcacheSessionSizeBytes";

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(server: &str) -> String {
        Address::parse(server).unwrap().to_string()
    }

    #[test]
    fn every_spelling_of_a_server_has_the_same_canonical_name() {
        for server in ["127.0.0.1:11211", "127.0.0.1", " 127.0.0.1:011211 "] {
            assert_eq!(canonical(server), "127.0.0.1:11211");
        }
        for server in ["[::1]:11211", "[0:0:0:0:0:0:0:1]:11211", "::1", "[::1]"] {
            assert_eq!(canonical(server), "[::1]:11211");
        }
        for server in ["Cache-1.Example", "cache-1.example:11211"] {
            assert_eq!(canonical(server), "cache-1.example:11211");
        }
        assert_eq!(canonical("unix:/run/memcached.sock"), "unix:/run/memcached.sock");
    }

    #[test]
    fn a_malformed_address_is_refused() {
        let names = [
            "",
            ":11211",
            "a:b",
            "a:",
            "a:65536",
            "a:0",
            "10.0.0.1:0",
            "a b:1",
            "a\r\nb:1",
            "http://a:1",
        ];
        for server in names.into_iter().chain(["unix:relative", "unix:", "[::1", "a,b"]) {
            assert!(Address::parse(server).is_err(), "{server:?}");
        }
    }

    #[test]
    fn the_environment_holds_servers_and_a_size() {
        let read = |servers: Option<&str>, size: Option<&str>| {
            Environment::read(|name| if name == SERVERS { servers } else { size }.map(OsString::from))
        };
        let environment = read(Some("a:1, b:2,"), Some("65536")).unwrap();
        assert_eq!(environment.servers, ["a:1", "b:2"]);
        assert_eq!(environment.max_value_len, Some(65536));
        assert_eq!(read(Some("a:1"), None).unwrap().max_value_len, None);
        let error = read(None, None).unwrap_err().to_string();
        assert!(error.starts_with("MEMCACHE_SERVERS is not set"), "{error}");
        for size in ["0", "-1", "1 MiB", ""] {
            let error = read(Some("a:1"), Some(size)).unwrap_err().to_string();
            assert!(error.starts_with("MaxMemcacheSessionSizeBytes is"), "{error}");
        }
    }
}
