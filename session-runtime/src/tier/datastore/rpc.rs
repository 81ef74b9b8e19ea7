//! Calls to the service: one attempt each, with a deadline that is sent to the service too.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use gcloud_sdk::GoogleAuthHeaders;
use gcloud_sdk::google::datastore::v1::commit_request::Mode;
use gcloud_sdk::google::datastore::v1::read_options::{ConsistencyType, ReadConsistency};
use gcloud_sdk::google::datastore::v1::run_query_request::QueryType;
use gcloud_sdk::google::datastore::v1::{
    CommitRequest, EntityResult, LookupRequest, MutationResult, Query, ReadOptions, RunQueryRequest,
};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Extensions, Request, Response, Status};

use super::channels::{Channels, Lease};
use super::entity::{Change, FoundEntity, Location};
use super::rpc_error::{NAME, RpcError, WriteStatus};
use super::setup_error::SetupError;
use crate::tier::started::Started;
use crate::tier::{TierError, TierErrorKind};

/// How long sent bytes may stay unacknowledged before the connection is closed (`TCP_USER_TIMEOUT`, tcp(7)). Without it,
/// a commit that timed out long ago could still be sent from the socket's buffer when a network partition heals.
pub(super) const UNSENT_TIMEOUT: Duration = Duration::from_secs(10);
/// Enough for a lost SYN, which is sent again after a second (RFC 6298), and well within one attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often an idle connection is checked by an HTTP/2 ping, so that a broken one is closed before a request uses it.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_mins(1);
/// How long the answer to such a ping may take.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a call may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// One attempt.
    pub(super) attempt: Duration,
    /// All attempts, and the pauses between them.
    pub(super) call: Duration,
}

/// A client for one location. Clones share the connections.
#[derive(Clone)]
pub(super) struct Rpc {
    channels: Channels,
    /// `None` for an emulator.
    credentials: Option<Arc<GoogleAuthHeaders>>,
    /// The value of the header `x-goog-request-params`, by which the service routes a request to its database.
    routing: MetadataValue<Ascii>,
    pub(super) location: Location,
    timeouts: Timeouts,
}

/// The time and the attempts that are left to a call, and its place among the calls that may be made at the same time.
pub(super) struct Budget {
    _room: OwnedSemaphorePermit,
    deadline: Instant,
    attempt_timeout: Duration,
    delays: ExponentialBackoff,
}

impl Budget {
    /// The deadline of an attempt that starts now.
    pub(super) fn attempt_deadline(&self) -> Instant {
        self.deadline.min(Instant::now() + self.attempt_timeout)
    }

    /// Waits before the next attempt; `false` if the budget allows none.
    pub(super) async fn wait_to_retry(&mut self) -> bool {
        match self.delays.next() {
            Some(delay) if Instant::now() + delay < self.deadline => {
                tokio::time::sleep(delay).await;
                true
            }
            _ => false,
        }
    }

    pub(super) fn is_exhausted(&self) -> bool {
        Instant::now() >= self.deadline
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
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    if url.starts_with("https://") {
        endpoint = endpoint.tls_config(ClientTlsConfig::new().with_native_roots())?;
    }
    Ok(endpoint.connect_with_connector_lazy(connector))
}

impl Rpc {
    pub(super) fn new(
        channels: Channels,
        credentials: Option<Arc<GoogleAuthHeaders>>,
        location: Location,
        timeouts: Timeouts,
    ) -> Result<Self, SetupError> {
        // The colon of a domain-scoped project is the only character of a name that must be encoded.
        let project = location.project.replace(':', "%3A");
        let routing = format!("project_id={project}&database_id={}", location.database);
        let routing = routing.parse().map_err(|_| SetupError::BadName(routing))?;
        Ok(Self {
            channels,
            credentials,
            routing,
            location,
            timeouts,
        })
    }

    /// Begins a call, unless too many wait already.
    pub(super) fn budget(&self, operation: &'static str) -> Result<Budget, TierError> {
        let room = self
            .channels
            .room()
            .map_err(|too_many| TierError::new(NAME, operation, TierErrorKind::Unavailable).with_source(too_many))?;
        Ok(Budget {
            _room: room,
            deadline: Instant::now() + self.timeouts.call,
            attempt_timeout: self.timeouts.attempt,
            delays: ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(50))
                .with_factor(3.0)
                .with_max_delay(Duration::from_secs(1))
                .with_max_times(4)
                .with_jitter()
                .build(),
        })
    }

    /// Reads the entity under `key`, strongly consistent.
    pub(super) async fn lookup(&self, deadline: Instant, key: &str) -> Result<Option<FoundEntity>, RpcError> {
        let request = LookupRequest {
            project_id: self.location.project.clone(),
            database_id: self.location.database.clone(),
            read_options: Some(strong_read()),
            keys: vec![self.location.key(key)],
            ..LookupRequest::default()
        };
        let (request, started) = self.request(deadline, request).await?;
        let mut lease = self.least_busy()?;
        let answer = with_deadline(deadline, &started, lease.client.lookup(request)).await?;
        if !answer.deferred.is_empty() {
            return Err(RpcError::new(
                WriteStatus::NotApplied,
                "the service deferred the lookup",
            ));
        }
        match answer.found.into_iter().next() {
            None => Ok(None),
            Some(found) => FoundEntity::from_result(found).map(Some).ok_or_else(|| {
                RpcError::new(
                    WriteStatus::Refused,
                    "the entity is not a session record: it has no blob property `Value`, or no version",
                )
            }),
        }
    }

    /// Sends one change; `Ok` means that the service answered without an error.
    pub(super) async fn commit(
        &self,
        deadline: Instant,
        change: &Change<'_>,
    ) -> Result<Option<MutationResult>, RpcError> {
        let mutation = change
            .mutation(&self.location)
            .ok_or_else(|| RpcError::new(WriteStatus::FailedPrecondition, "no entity can have this base version"))?;
        let request = CommitRequest {
            project_id: self.location.project.clone(),
            database_id: self.location.database.clone(),
            mode: Mode::NonTransactional.into(),
            mutations: vec![mutation],
            ..CommitRequest::default()
        };
        let (request, started) = self.request(deadline, request).await?;
        let mut lease = self.least_busy()?;
        let answer = with_deadline(deadline, &started, lease.client.commit(request)).await?;
        Ok(answer.mutation_results.into_iter().next())
    }

    /// Returns one batch of the results of `query`.
    pub(super) async fn query(&self, deadline: Instant, query: Query) -> Result<Vec<EntityResult>, RpcError> {
        let request = RunQueryRequest {
            project_id: self.location.project.clone(),
            database_id: self.location.database.clone(),
            partition_id: Some(self.location.partition()),
            query_type: Some(QueryType::Query(query)),
            ..RunQueryRequest::default()
        };
        let (request, started) = self.request(deadline, request).await?;
        let mut lease = self.least_busy()?;
        let answer = with_deadline(deadline, &started, lease.client.run_query(request)).await?;
        Ok(answer.batch.map(|batch| batch.entity_results).unwrap_or_default())
    }

    fn least_busy(&self) -> Result<Lease, RpcError> {
        let lease = self.channels.least_busy();
        lease.ok_or_else(|| RpcError::new(WriteStatus::NotApplied, "there is no connection"))
    }

    /// Adds credentials, routing and the timeout to the message, and what tells whether it is sent. An error here means
    /// that it was not.
    async fn request<T>(&self, deadline: Instant, message: T) -> Result<(Request<T>, Arc<Started>), RpcError> {
        let mut metadata = MetadataMap::new();
        if let Some(credentials) = &self.credentials {
            let headers = timeout_at(deadline, credentials.headers())
                .await
                .map_err(|elapsed| RpcError::new(WriteStatus::NotApplied, elapsed))??;
            metadata = MetadataMap::from_headers(headers.as_ref().clone());
        }
        metadata.insert("x-goog-request-params", self.routing.clone());
        let mut request = Request::from_parts(metadata, Extensions::new(), message);
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        let started = Arc::new(Started::default());
        request.extensions_mut().insert(Arc::clone(&started));
        Ok((request, started))
    }
}

/// Waits for the answer until the deadline, which the service was sent too. A call that was not started by then, or by the
/// time the connection failed, was not sent, nor will be.
async fn with_deadline<T>(
    deadline: Instant,
    started: &Started,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, RpcError> {
    let error = match timeout_at(deadline, answer).await {
        Ok(Ok(answer)) => return Ok(answer.into_inner()),
        Ok(Err(status)) => RpcError::from(status),
        Err(elapsed) => RpcError::new(WriteStatus::Unknown, elapsed),
    };
    if error.write_status == WriteStatus::Unknown && started.give_up() {
        return Err(error.not_applied());
    }
    Err(error)
}

fn strong_read() -> ReadOptions {
    ReadOptions {
        consistency_type: Some(ConsistencyType::ReadConsistency(ReadConsistency::Strong.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tls_has_a_single_crypto_provider_and_finds_root_certificates() {
        // rustls panics if two crypto providers are compiled in and none is selected.
        channel("https://datastore.googleapis.com").unwrap();
    }
}
