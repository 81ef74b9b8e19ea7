//! Why the tier cannot be configured.

use std::path::PathBuf;

use crate::tier::tls::TlsError;

/// Why a [`Valkey`](crate::tier::valkey::Valkey) cannot be configured. Its text says what to do, and holds no password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no address.
    #[error("neither VALKEY_URL nor REDIS_URL is set: give it as redis://user:password@host:port")]
    NoUrl,
    /// The address cannot be read. It is not shown, since there may be a password in it.
    #[error(
        "the address of Valkey or Redis cannot be read: write redis://user:password@host:port/database, or rediss:// for TLS, or \
         unix:///path, special characters in the password percent-encoded"
    )]
    BadUrl,
    /// Certificates for an address without TLS.
    #[error("there are certificates to trust, and the address is without TLS: write rediss:// in place of redis://")]
    NoTls,
    /// The file of certificates cannot be used.
    #[error("the certificates in {} cannot be used: it must be a file of certificates in PEM", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// TLS could not be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<TlsError> for ConfigError {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::Certificates(path, source) => Self::Certificates { path, source },
            TlsError::Setup(error) => Self::Tls(error.into()),
        }
    }
}
