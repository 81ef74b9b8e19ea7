//! TLS to Postgres.

use std::path::Path;

use rustls::RootCertStore;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::setup_error::SetupError;
use crate::tier::tls::{self, TlsError};

/// What connects over TLS. It trusts the certificates in the file, or those that the system trusts.
pub(super) fn connector(config: &Config, root_certificates: Option<&Path>) -> Result<MakeRustlsConnect, SetupError> {
    let roots = match root_certificates {
        Some(path) => tls::roots_of_file(path)?,
        None if may_use_tls(config) => tls::roots_of_system(),
        None => RootCertStore::empty(),
    };
    let mut client = tls::client(roots)?;
    // For `sslnegotiation=direct`, which Postgres refuses without it.
    client.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(MakeRustlsConnect::new(client))
}

impl From<TlsError> for SetupError {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::Certificates(path, source) => Self::Certificates { path, source },
            TlsError::Setup(error) => Self::Tls(error.into()),
        }
    }
}

fn may_use_tls(config: &Config) -> bool {
    #[cfg(unix)]
    let is_remote = |host: &Host| !matches!(host, Host::Unix(_));
    #[cfg(not(unix))]
    let is_remote = |_: &Host| true;
    config.get_ssl_mode() != SslMode::Disable && config.get_hosts().iter().any(is_remote)
}
