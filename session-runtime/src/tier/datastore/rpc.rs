//! Single calls of the service: one attempt each, with a deadline that the service is told too.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use gcloud_sdk::GoogleAuthHeaders;
use gcloud_sdk::google::datastore::v1::commit_request::Mode;
use gcloud_sdk::google::datastore::v1::datastore_client::DatastoreClient;
use gcloud_sdk::google::datastore::v1::read_options::{ConsistencyType, ReadConsistency};
use gcloud_sdk::google::datastore::v1::run_query_request::QueryType;
use gcloud_sdk::google::datastore::v1::{
    CommitRequest, EntityResult, LookupRequest, MutationResult, Query, ReadOptions, RunQueryRequest,
};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::{Instant, timeout_at};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Extensions, Request, Response, Status};

use super::entity::{Change, Found, Place};
use super::fault::{Fate, Fault};
use super::setup_error::SetupError;

/// How long bytes of a call may wait for the network before the connection is given up (`TCP_USER_TIMEOUT`). Without
/// it a commit that its caller gave up long ago could still leave the socket's buffer when a partition heals.
pub(super) const UNSENT_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Pings on a quiet connection, so that a dead one is found before a request finds it.
const PING_EVERY: Duration = Duration::from_mins(1);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// One attempt.
    pub(super) attempt: Duration,
    /// All attempts, and the pauses between them.
    pub(super) call: Duration,
}

/// A client of one place. Clones share the connection.
#[derive(Clone)]
pub(super) struct Rpc {
    client: DatastoreClient<Channel>,
    /// `None` for an emulator.
    credentials: Option<Arc<GoogleAuthHeaders>>,
    /// Which database a request is for, as the service's routing wants to read it (`x-goog-request-params`).
    routing: MetadataValue<Ascii>,
    pub(super) place: Place,
    timeouts: Timeouts,
}

/// The time and the attempts that a call may still use.
pub(super) struct Budget {
    until: Instant,
    attempt: Duration,
    pauses: ExponentialBackoff,
}

impl Budget {
    /// When the attempt that starts now must end.
    pub(super) fn attempt(&self) -> Instant {
        self.until.min(Instant::now() + self.attempt)
    }

    /// Waits before another attempt; `false` where there is to be none.
    pub(super) async fn pause(&mut self) -> bool {
        match self.pauses.next() {
            Some(pause) if Instant::now() + pause < self.until => {
                tokio::time::sleep(pause).await;
                true
            }
            _ => false,
        }
    }

    pub(super) fn is_spent(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// A lazy connection to `url`, over TLS where it is `https`.
pub(super) fn channel(url: &str) -> Result<Channel, tonic::transport::Error> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    #[cfg(any(target_os = "android", target_os = "linux"))]
    connector.set_tcp_user_timeout(Some(UNSENT_TIMEOUT));
    let mut endpoint = Endpoint::from_shared(url.to_owned())?
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true);
    if url.starts_with("https://") {
        endpoint = endpoint.tls_config(ClientTlsConfig::new().with_native_roots())?;
    }
    Ok(endpoint.connect_with_connector_lazy(connector))
}

impl Rpc {
    pub(super) fn new(
        channel: Channel,
        credentials: Option<Arc<GoogleAuthHeaders>>,
        place: Place,
        timeouts: Timeouts,
    ) -> Result<Self, SetupError> {
        // The colon of a project within a domain is the one character of a name that a query string would not hold.
        let project = place.project.replace(':', "%3A");
        let routing = format!("project_id={project}&database_id={}", place.database);
        let routing = routing.parse().map_err(|_| SetupError::BadName(routing))?;
        Ok(Self {
            client: DatastoreClient::new(channel),
            credentials,
            routing,
            place,
            timeouts,
        })
    }

    pub(super) fn budget(&self) -> Budget {
        Budget {
            until: Instant::now() + self.timeouts.call,
            attempt: self.timeouts.attempt,
            pauses: ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(50))
                .with_factor(3.0)
                .with_max_delay(Duration::from_secs(1))
                .with_max_times(4)
                .with_jitter()
                .build(),
        }
    }

    /// The entity under `key`, strongly consistent.
    pub(super) async fn lookup(&self, until: Instant, key: &str) -> Result<Option<Found>, Fault> {
        let request = LookupRequest {
            project_id: self.place.project.clone(),
            database_id: self.place.database.clone(),
            read_options: Some(strong()),
            keys: vec![self.place.key(key)],
            ..LookupRequest::default()
        };
        let request = self.request(until, request).await?;
        let mut client = self.client.clone();
        let answer = within(until, client.lookup(request)).await?;
        if !answer.deferred.is_empty() {
            return Err(Fault::new(Fate::NotApplied, "the service put the lookup off"));
        }
        match answer.found.into_iter().next() {
            None => Ok(None),
            Some(found) => Found::from_result(found).map(Some).ok_or_else(|| {
                Fault::new(
                    Fate::Refused,
                    "not a record of this store: no `Value` of bytes, or no version",
                )
            }),
        }
    }

    /// Applies one change; `Ok` means that the service answered.
    pub(super) async fn commit(&self, until: Instant, change: &Change<'_>) -> Result<Option<MutationResult>, Fault> {
        let mutation = change
            .mutation(&self.place)
            .ok_or_else(|| Fault::new(Fate::Precondition, "no entity has such a version"))?;
        let request = CommitRequest {
            project_id: self.place.project.clone(),
            database_id: self.place.database.clone(),
            mode: Mode::NonTransactional.into(),
            mutations: vec![mutation],
            ..CommitRequest::default()
        };
        let request = self.request(until, request).await?;
        let mut client = self.client.clone();
        let answer = within(until, client.commit(request)).await?;
        Ok(answer.mutation_results.into_iter().next())
    }

    /// Runs one batch of a query.
    pub(super) async fn query(&self, until: Instant, query: Query) -> Result<Vec<EntityResult>, Fault> {
        let request = RunQueryRequest {
            project_id: self.place.project.clone(),
            database_id: self.place.database.clone(),
            partition_id: Some(self.place.partition()),
            query_type: Some(QueryType::Query(query)),
            ..RunQueryRequest::default()
        };
        let request = self.request(until, request).await?;
        let mut client = self.client.clone();
        let answer = within(until, client.run_query(request)).await?;
        Ok(answer.batch.map(|batch| batch.entity_results).unwrap_or_default())
    }

    /// The message with credentials, routing and the time that is left. Whatever fails here fails before a byte of the
    /// call is sent.
    async fn request<T>(&self, until: Instant, message: T) -> Result<Request<T>, Fault> {
        let mut metadata = MetadataMap::new();
        if let Some(credentials) = &self.credentials {
            let headers = timeout_at(until, credentials.headers())
                .await
                .map_err(|late| Fault::new(Fate::NotApplied, late))??;
            metadata = MetadataMap::from_headers(headers.as_ref().clone());
        }
        metadata.insert("x-goog-request-params", self.routing.clone());
        let mut request = Request::from_parts(metadata, Extensions::new(), message);
        request.set_timeout(until.saturating_duration_since(Instant::now()));
        Ok(request)
    }
}

/// Waits for the answer, no longer than the service was told that it would be waited for.
async fn within<T>(until: Instant, answer: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Fault> {
    match timeout_at(until, answer).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(status.into()),
        Err(late) => Err(Fault::new(Fate::Lost, late)),
    }
}

fn strong() -> ReadOptions {
    ReadOptions {
        consistency_type: Some(ConsistencyType::ReadConsistency(ReadConsistency::Strong.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tls_has_one_provider_and_finds_roots() {
        // Panics where the tree holds two crypto providers and none was chosen.
        channel("https://datastore.googleapis.com").unwrap();
    }
}
