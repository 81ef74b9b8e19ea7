//! Why the tier could not be set up.

use std::time::Duration;

use crate::tier::TierError;

/// Why a [`Datastore`](crate::tier::datastore::Datastore) could not be set up. Its text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// No project was set, and none could be detected.
    #[error(
        "no Google Cloud project: set DATASTORE_PROJECT_ID or GOOGLE_CLOUD_PROJECT, or call `DatastoreBuilder::project`"
    )]
    NoProject,
    /// The name of the project or database is not valid.
    #[error("not a valid name of a Google Cloud project or Datastore database: {0:?}; check both")]
    BadName(String),
    /// The address is no `host:port`, or TLS could not be set up.
    #[error(
        "cannot connect to {address}: give DATASTORE_EMULATOR_HOST as host:port, without it the machine needs CA certificates"
    )]
    Connection {
        /// The address.
        address: String,
        /// Why the connection could not be set up.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// With these timeouts a write could be applied after its fence in the cache has expired.
    #[error(
        "invalid Datastore timeouts: those of an attempt and of a call must be above zero, and together at most {limit:?}"
    )]
    Timeouts {
        /// The longest that the two may be together.
        limit: Duration,
    },
    /// There are no application default credentials, or they are malformed.
    #[error(
        "no Google credentials: run `gcloud auth application-default login`, set GOOGLE_APPLICATION_CREDENTIALS, \
         or DATASTORE_EMULATOR_HOST for an emulator"
    )]
    Credentials(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The probe failed: the service cannot be reached, or rejected a call.
    #[error(
        "the start-up probe of Datastore failed: check that the service or emulator runs, that project and database \
         exist, and that the credentials may read and write entities (role roles/datastore.user)"
    )]
    Probe(#[source] TierError),
    /// The backend applied a write whose `base_version` was stale.
    #[error(
        "this backend of Datastore ignores base_version, so two writers of a session would overwrite each other: \
         use the Datastore service, or a current emulator"
    )]
    IgnoresBaseVersion,
}
