//! Why the tier could not be set up.

use std::time::Duration;

use crate::tier::TierError;

/// Why a [`Datastore`](crate::tier::datastore::Datastore) could not be set up. Its text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// No project was named, and none could be found out.
    #[error(
        "no Google Cloud project: set DATASTORE_PROJECT_ID or GOOGLE_CLOUD_PROJECT, or call `DatastoreBuilder::project`"
    )]
    NoProject,
    /// The project's or database's name is nothing that Google gives out.
    #[error("not the name of a project or database: {0:?}")]
    BadName(String),
    /// The address is no `host:port`, or TLS could not be set up.
    #[error(
        "cannot connect to {address}: give DATASTORE_EMULATOR_HOST as host:port, without it the machine needs CA certificates"
    )]
    Connection {
        /// What was to be connected to.
        address: String,
        /// What was wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The timeouts leave room for a write later than any fence in the cache lives.
    #[error(
        "timeouts too long: one attempt and a whole call must be longer than nothing, and together shorter than {limit:?}"
    )]
    Timeouts {
        /// What they must stay under, together.
        limit: Duration,
    },
    /// There are no application default credentials, or they are malformed.
    #[error(
        "no Google credentials: run `gcloud auth application-default login`, set GOOGLE_APPLICATION_CREDENTIALS, \
         or DATASTORE_EMULATOR_HOST for an emulator"
    )]
    Credentials(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The probe could not be run: the service is away, or refused.
    #[error(
        "the start-up probe of Datastore failed: check that the service or emulator runs, that project and database \
         exist, and that the credentials may read and write entities (role roles/datastore.user)"
    )]
    Probe(#[source] TierError),
    /// The backend applied a write whose `base_version` was stale.
    #[error(
        "this backend of Datastore ignores base_version, so that two writers of a session would overwrite each other: \
         use the Datastore service, or a current emulator"
    )]
    IgnoresBaseVersion,
}
