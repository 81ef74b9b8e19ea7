//! The HTTP/2 connections to the service, and how many calls wait for them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use gcloud_sdk::google::datastore::v1::datastore_client::DatastoreClient;
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Channel;
use tower_service::Service;

use crate::tier::started::Started;

/// How many calls may be under way or wait, for each connection. Google's front ends let a connection carry 100 at once
/// (`SETTINGS_MAX_CONCURRENT_STREAMS`). At 25 ms a call, the 400 that wait are answered 0.1 s later; where they are not, the
/// service is stalled, and more would only wait for it.
const CALLS_PER_CHANNEL: usize = 500;

/// Several connections. Clones share them.
#[derive(Clone)]
pub(super) struct Channels {
    channels: Arc<[Counted]>,
    calls: Arc<Semaphore>,
}

struct Counted {
    client: DatastoreClient<Tracked>,
    /// The calls that it carries.
    calls: Arc<AtomicUsize>,
}

/// More calls than wait already would wait for too long.
#[derive(Debug, thiserror::Error)]
#[error(
    "{limit} calls wait for the service already: it is stalled, or needs more connections (`DatastoreBuilder::channels`)"
)]
pub(super) struct TooManyCalls {
    limit: usize,
}

impl Channels {
    pub(super) fn new(channels: Vec<Channel>) -> Self {
        let calls = Arc::new(Semaphore::new(channels.len() * CALLS_PER_CHANNEL));
        let counted = channels.into_iter().map(|channel| Counted {
            client: DatastoreClient::new(Tracked(channel)),
            calls: Arc::default(),
        });
        Self {
            channels: counted.collect(),
            calls,
        }
    }

    /// Room for one call with all its attempts; at once, or not at all.
    pub(super) fn room(&self) -> Result<OwnedSemaphorePermit, TooManyCalls> {
        let limit = self.channels.len() * CALLS_PER_CHANNEL;
        Arc::clone(&self.calls)
            .try_acquire_owned()
            .map_err(|_| TooManyCalls { limit })
    }

    /// The connection that carries the fewest calls; it counts as carrying another one until that is dropped.
    pub(super) fn least_busy(&self) -> Option<Lease> {
        let least = self
            .channels
            .iter()
            .min_by_key(|channel| channel.calls.load(Ordering::Relaxed))?;
        least.calls.fetch_add(1, Ordering::Relaxed);
        Some(Lease {
            client: least.client.clone(),
            calls: Arc::clone(&least.calls),
        })
    }
}

/// A connection, in use by one call.
pub(super) struct Lease {
    pub(super) client: DatastoreClient<Tracked>,
    calls: Arc<AtomicUsize>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A channel that starts a request, if it has a [`Started`] among its extensions, when the message is about to be sent. Until
/// then it waits for a connection, or for room on one.
#[derive(Clone)]
pub(super) struct Tracked(Channel);

impl Service<http::Request<Body>> for Tracked {
    type Response = <Channel as Service<http::Request<Body>>>::Response;
    type Error = <Channel as Service<http::Request<Body>>>::Error;
    type Future = <Channel as Service<http::Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let started = request.extensions().get::<Arc<Started>>().cloned();
        self.0.call(match started {
            Some(started) => request.map(|body| Body::new(TrackedBody { body, started })),
            None => request,
        })
    }
}

/// A message that is sent only if its call was not given up.
struct TrackedBody {
    body: Body,
    started: Arc<Started>,
}

impl http_body::Body for TrackedBody {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.started.start() {
            Pin::new(&mut self.body).poll_frame(cx)
        } else {
            Poll::Ready(Some(Err(Status::cancelled("the call was given up before it was sent"))))
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
