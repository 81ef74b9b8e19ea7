//! Configures and connects the tier.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gcloud_sdk::{GoogleAuthHeaders, GoogleEnvironment};

use super::channels::Channels;
use super::entity::Location;
use super::probe;
use super::rpc::{self, Rpc, Timeouts, UNSENT_TIMEOUT};
use super::setup_error::SetupError;
use super::tier::{Datastore, MAX_WRITE_DELAY};
use crate::clock::{Clock, SystemClock};

/// The service's address (Cloud Datastore API reference, "Service endpoint").
const SERVICE: &str = "https://datastore.googleapis.com";
/// The scope of the API (Cloud Datastore API reference, "Authorization scopes").
const SCOPE: &str = "https://www.googleapis.com/auth/datastore";

/// 16,000 calls a second at 25 ms each: more than a node of a web service makes. Google's own clients have four by default
/// where they pool (Spanner's `numChannels`).
const DEFAULT_CHANNELS: usize = 4;
/// Far more than one process can use.
const MAX_CHANNELS: usize = 100;

/// Sets the project, database, namespace and timeouts of a [`Datastore`].
#[derive(Clone)]
pub struct DatastoreBuilder {
    project: Option<String>,
    database: String,
    namespace: String,
    index_expires_at: bool,
    emulator: Option<String>,
    channels: usize,
    timeouts: Timeouts,
    clock: Arc<dyn Clock>,
}

impl Datastore {
    /// Connects as the environment says, and probes the backend.
    ///
    /// `DATASTORE_EMULATOR_HOST` (`host:port`) is an emulator, reached without TLS and without credentials. The project
    /// is `DATASTORE_PROJECT_ID`, else `GOOGLE_CLOUD_PROJECT`, else, away from an emulator, that of the application
    /// default credentials or of the machine. For anything else there is [`builder`](Self::builder).
    ///
    /// # Errors
    /// As [`DatastoreBuilder::connect`].
    pub async fn from_env() -> Result<Self, SetupError> {
        DatastoreBuilder::from_env().connect().await
    }

    /// A builder, to set the project, database, namespace and timeouts.
    pub fn builder() -> DatastoreBuilder {
        DatastoreBuilder::default()
    }
}

impl Default for DatastoreBuilder {
    fn default() -> Self {
        Self {
            project: None,
            database: String::new(),
            namespace: String::new(),
            index_expires_at: false,
            emulator: None,
            channels: DEFAULT_CHANNELS,
            timeouts: Timeouts {
                attempt: Duration::from_secs(5),
                call: Duration::from_secs(15),
            },
            clock: Arc::new(SystemClock),
        }
    }
}

impl DatastoreBuilder {
    /// A builder with the settings of the environment; see [`Datastore::from_env`].
    pub fn from_env() -> Self {
        let var = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            project: var("DATASTORE_PROJECT_ID").or_else(|| var("GOOGLE_CLOUD_PROJECT")),
            emulator: var("DATASTORE_EMULATOR_HOST"),
            ..Self::default()
        }
    }

    /// The Google Cloud project. Default: that of the application default credentials, or of the machine.
    #[must_use]
    pub fn project(mut self, project: impl Into<String>) -> Self {
        self.project = Some(project.into());
        self
    }

    /// The database within the project. Default: `""`, the project's default database.
    #[must_use]
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.database = database.into();
        self
    }

    /// The namespace within the database. Default: `""`, the default namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Whether new writes put `ExpiresAt` into its index, which [`purge_expired`](crate::tier::DurableTier::purge_expired)
    /// needs and a TTL policy does not. Default: they do not, since every renewal moves it, and an index of growing times
    /// takes 500 writes a second (see the module).
    #[must_use]
    pub fn index_expires_at(mut self, is_indexed: bool) -> Self {
        self.index_expires_at = is_indexed;
        self
    }

    /// An emulator at `host:port`, reached without TLS and without credentials. Default: the service.
    #[must_use]
    pub fn emulator(mut self, address: impl Into<String>) -> Self {
        self.emulator = Some(address.into());
        self
    }

    /// How many HTTP/2 connections there are to the service, opened when they are needed. Default: 4; from 1 to 100.
    ///
    /// Each carries about 100 calls at once (4,000 a second at 25 ms), and lets 400 more wait; any further call fails at once
    /// as [`Unavailable`](crate::tier::TierErrorKind::Unavailable).
    #[must_use]
    pub fn channels(mut self, channels: usize) -> Self {
        self.channels = channels.clamp(1, MAX_CHANNELS);
        self
    }

    /// How long one attempt may take; the service gets the same deadline. Default: 5 seconds.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.attempt = timeout;
        self
    }

    /// How long a call may take with all its attempts and the delays between them. Default: 15 seconds.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.call = timeout;
        self
    }

    /// The clock by which a record that is read has expired. Default: the machine's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Connects, and probes whether the backend honours `base_version` (five small calls; see the module).
    ///
    /// # Errors
    /// Every [`SetupError`] ends the start: no project, no credentials, no service, or one that would lose writes.
    pub async fn connect(self) -> Result<Datastore, SetupError> {
        self.check_timeouts()?;
        let project = match &self.project {
            Some(project) => Some(project.clone()),
            None if self.emulator.is_some() => None,
            None => GoogleEnvironment::detect_google_project_id().await,
        };
        let location = Location {
            project: project
                .filter(|project| !project.is_empty())
                .ok_or(SetupError::NoProject)?,
            database: self.database,
            namespace: self.namespace,
            index_expires_at: self.index_expires_at,
        };
        let url = self.emulator.as_deref().map_or(SERVICE.to_owned(), emulator_url);
        let channels = (0..self.channels).map(|_| rpc::channel(&url)).collect::<Result<_, _>>();
        let channels = channels.map_err(|source| SetupError::Connection {
            address: url,
            source: source.into(),
        })?;
        let credentials = match self.emulator {
            Some(_) => None,
            None => Some(Arc::new(
                GoogleAuthHeaders::from_adc_with_scopes(vec![SCOPE.to_owned()])
                    .await
                    .map_err(|source| SetupError::Credentials(source.into()))?,
            )),
        };
        let rpc = Rpc::new(Channels::new(channels), credentials, location, self.timeouts)?;
        let datastore = Datastore::new(rpc, self.clock);
        probe::probe(&datastore).await?;
        Ok(datastore)
    }

    /// A write is sent within the call's time, may stay in the socket's buffer for [`UNSENT_TIMEOUT`], and is processed
    /// for no longer than one attempt: together no more than [`MAX_WRITE_DELAY`].
    fn check_timeouts(&self) -> Result<(), SetupError> {
        let Timeouts { attempt, call } = self.timeouts;
        let limit = MAX_WRITE_DELAY.saturating_sub(UNSENT_TIMEOUT);
        if attempt.is_zero() || call.is_zero() || attempt.saturating_add(call) > limit {
            return Err(SetupError::Timeouts { limit });
        }
        Ok(())
    }
}

fn emulator_url(address: &str) -> String {
    let address = address.strip_prefix("http://").unwrap_or(address);
    format!("http://{}", address.trim_end_matches('/'))
}

impl fmt::Debug for DatastoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatastoreBuilder")
            .field("project", &self.project)
            .field("database", &self.database)
            .field("namespace", &self.namespace)
            .field("emulator", &self.emulator)
            .field("channels", &self.channels)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}
