//! Where a server listens, and how to connect to it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use redis::{ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::config_error::ConfigError;
use crate::tier::network::{self, Resolver};
use crate::tier::tls;

/// The schemes of TLS, and what the client library, whose own TLS is not compiled in, calls the same without it.
const TLS_SCHEMES: [(&str, &str); 2] = [("rediss://", "redis://"), ("valkeys://", "valkey://")];

/// The bytes to and from a server, over whatever network.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where a server listens.
pub(super) struct Address {
    place: Place,
    resolver: Resolver,
    /// For a host: TLS is used if it is there.
    tls: Option<Arc<ClientConfig>>,
    /// Database, user and password.
    pub(super) login: RedisConnectionInfo,
}

enum Place {
    Host(String, u16),
    /// A file; where the platform has no Unix sockets, none can be connected to.
    Socket(PathBuf),
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, ConfigError> {
        let url = url.trim();
        let over_tls = TLS_SCHEMES
            .into_iter()
            .find_map(|(scheme, plain)| Some(format!("{plain}{}", url.strip_prefix(scheme)?)));
        let has_tls = over_tls.is_some();
        let url = over_tls.unwrap_or_else(|| url.to_owned());
        // `#insecure` would mean that certificates are not verified.
        if url.contains('#') {
            return Err(ConfigError::BadUrl);
        }
        // The error is dropped: it may show the address.
        let info = url.into_connection_info().map_err(|_| ConfigError::BadUrl)?;
        let place = match info.addr() {
            ConnectionAddr::Tcp(host, port) if *port != 0 => Place::Host(host.clone(), *port),
            ConnectionAddr::Unix(path) => Place::Socket(path.clone()),
            _ => return Err(ConfigError::BadUrl),
        };
        let tls = if has_tls {
            Some(Arc::new(tls::client(tls::roots_of_system())?))
        } else {
            None
        };
        Ok(Self {
            place,
            resolver: Resolver::default(),
            tls,
            login: info.redis_settings().clone(),
        })
    }

    /// Trusts the certificates in this file in place of the system's.
    pub(super) fn trust(&mut self, path: &std::path::Path) -> Result<(), ConfigError> {
        let Some(tls) = &mut self.tls else {
            return Err(ConfigError::NoTls);
        };
        *tls = Arc::new(tls::client(tls::roots_of_file(path)?)?);
        Ok(())
    }

    /// How many places its name leads to.
    pub(super) async fn count(&self) -> io::Result<usize> {
        match &self.place {
            Place::Host(host, port) => Ok(self.resolver.resolve(host.clone(), *port).await?.len()),
            Place::Socket(_) => Ok(1),
        }
    }

    /// Connects to one of the places that its name leads to: the first that accepts, `skip` of them left out.
    pub(super) async fn connect(&self, skip: usize) -> io::Result<Box<dyn Stream>> {
        let (host, port) = match &self.place {
            Place::Host(host, port) => (host, *port),
            #[cfg(unix)]
            Place::Socket(path) => return Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
            #[cfg(not(unix))]
            Place::Socket(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        let addresses = self.resolver.resolve(host.clone(), port).await?;
        let stream = network::connect(addresses.get(skip..).unwrap_or_default()).await?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
        Ok(Box::new(stream))
    }
}

impl fmt::Display for Address {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Host(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Place::Host(host, port) => write!(f, "{host}:{port}"),
            Place::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (url, shown) in [
            ("redis://127.0.0.1", "127.0.0.1:6379"),
            (" redis://ada:hunter2@cache.example:6380/3 ", "cache.example:6380"),
            ("valkey://:hunter2@[::1]:7000", "[::1]:7000"),
            ("rediss://:hunter2@cache.example", "cache.example:6379"),
            ("valkeys://cache.example", "cache.example:6379"),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(
                address.tls.is_some(),
                url.contains("rediss") || url.contains("valkeys"),
                "{url}"
            );
        }
        #[cfg(unix)]
        assert_eq!(
            Address::parse("unix:///run/v.sock").unwrap().to_string(),
            "unix:/run/v.sock"
        );
    }

    #[test]
    fn what_cannot_be_used_is_refused_and_no_password_is_shown() {
        for url in [
            "",
            "hunter2",
            "127.0.0.1:6379",
            "http://:hunter2@h",
            "redis://:hunter2@h:port",
            "redis://:hunter2@h:0",
            "redis://:hunter2@h/database",
            "rediss://:hunter2@h/#insecure",
            "redis://:hunter2@",
        ] {
            let Err(error) = Address::parse(url) else {
                panic!("{url} was accepted")
            };
            assert!(matches!(error, ConfigError::BadUrl), "{url}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
