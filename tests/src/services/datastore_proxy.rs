//! A gRPC proxy in front of an emulator that fails calls on demand, before or after the emulator has applied them.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use axum::serve::ListenerExt;
use gcloud_sdk::google::datastore::v1::datastore_client::DatastoreClient;
use gcloud_sdk::google::datastore::v1::{
    CommitRequest, CommitResponse, LookupRequest, LookupResponse, MutationResult, RunQueryRequest, RunQueryResponse,
};
use gcloud_sdk::prost::Message;
use gcloud_sdk::tonic::transport::{Channel, Endpoint};
use gcloud_sdk::tonic::{Code, Status};
use http_body_util::{BodyExt, Full};
use tokio::net::TcpListener;
use tokio::sync::watch;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// One byte of flags and four of length before a message (gRPC over HTTP/2, "Length-Prefixed-Message").
const FRAME_HEAD: usize = 5;

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is passed on.
    None,
    /// It fails with this code, and is not passed on.
    Before(Code),
    /// The emulator applies it, and then it fails with this code.
    After(Code),
    /// It is not passed on, and not answered.
    LostBefore,
    /// The emulator applies it, and it is not answered.
    LostAfter,
    /// It is passed on without its `base_version`, as if the backend ignored that.
    WithoutBase,
    /// It is answered at once, without the emulator: a lookup finds nothing, a commit is done.
    Answered,
}

/// A method of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `Lookup`.
    Lookup,
    /// `Commit`.
    Commit,
    /// `RunQuery`.
    RunQuery,
}

/// The proxy; it ends with the runtime that it was started in. Clones share it.
#[derive(Clone, Debug)]
pub struct Proxy {
    address: SocketAddr,
    client: DatastoreClient<Channel>,
    plan: Arc<Mutex<Plan>>,
    stalled: watch::Sender<bool>,
    connections: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Plan {
    next: VecDeque<(Method, Fault)>,
    always: Vec<(Method, Fault)>,
    calls: Vec<Method>,
}

impl Proxy {
    /// Listens on a free port, in front of the emulator at `address` (`host:port`).
    ///
    /// # Panics
    /// Where it cannot listen.
    pub async fn start(address: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let emulator = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            client: DatastoreClient::new(emulator.connect_lazy()),
            plan: Arc::default(),
            stalled: watch::Sender::new(false),
            connections: Arc::default(),
        };
        let router = Router::new().fallback(serve).with_state(proxy.clone());
        let connections = Arc::clone(&proxy.connections);
        let listener = listener.tap_io(move |_| {
            connections.fetch_add(1, Ordering::SeqCst);
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        proxy
    }

    /// `host:port`, as for `DATASTORE_EMULATOR_HOST`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Sets the faults of the next calls of `method`, in order; later ones are passed on.
    pub fn next(&self, method: Method, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().map(|fault| (method, fault));
        self.with(|plan| plan.next.extend(faults));
    }

    /// Sets the fault of every call of `method` that has no other.
    pub fn always(&self, method: Method, fault: Fault) {
        self.with(|plan| {
            plan.always.retain(|(planned, _)| *planned != method);
            plan.always.push((method, fault));
        });
    }

    /// Holds back every answer from now on, or passes on all that were held back. Calls go on to be applied.
    pub fn stall(&self, is_stalled: bool) {
        self.stalled.send_replace(is_stalled);
    }

    /// How many connections have been made so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Takes the list of the calls since it was last taken.
    pub fn take_calls(&self) -> Vec<Method> {
        self.with(|plan| std::mem::take(&mut plan.calls))
    }

    fn with<T>(&self, change: impl FnOnce(&mut Plan) -> T) -> T {
        change(&mut self.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fault(&self, method: Method) -> Fault {
        self.with(|plan| {
            plan.calls.push(method);
            let is_of = |(planned, _): &&(Method, Fault)| *planned == method;
            let next = plan.next.iter().position(|planned| is_of(&planned));
            let fault = next.and_then(|at| plan.next.remove(at));
            let fault = fault.or_else(|| plan.always.iter().find(is_of).copied());
            fault.map_or(Fault::None, |(_, fault)| fault)
        })
    }

    async fn pass_on(&self, method: Method, message: Bytes, fault: Fault) -> Result<Vec<u8>, Status> {
        let malformed = |error| Status::invalid_argument(format!("{error}"));
        let mut client = self.client.clone();
        Ok(match method {
            Method::Lookup => {
                let request = LookupRequest::decode(message).map_err(malformed)?;
                client.lookup(request).await?.into_inner().encode_to_vec()
            }
            Method::RunQuery => {
                let request = RunQueryRequest::decode(message).map_err(malformed)?;
                client.run_query(request).await?.into_inner().encode_to_vec()
            }
            Method::Commit => {
                let mut request = CommitRequest::decode(message).map_err(malformed)?;
                if fault == Fault::WithoutBase {
                    for mutation in &mut request.mutations {
                        mutation.conflict_detection_strategy = None;
                        mutation.conflict_resolution_strategy = 0;
                    }
                }
                client.commit(request).await?.into_inner().encode_to_vec()
            }
        })
    }
}

async fn serve(State(proxy): State<Proxy>, request: Request) -> Response<Body> {
    let method = match request.uri().path().rsplit('/').next() {
        Some("Lookup") => Method::Lookup,
        Some("Commit") => Method::Commit,
        Some("RunQuery") => Method::RunQuery,
        _ => return failure(Code::Unimplemented),
    };
    let Ok(body) = to_bytes(request.into_body(), 16 << 20).await else {
        return failure(Code::Internal);
    };
    let message = body.slice(FRAME_HEAD.min(body.len())..);
    let fault = proxy.fault(method);
    match fault {
        Fault::Before(code) => return failure(code),
        Fault::LostBefore => return std::future::pending().await,
        Fault::None | Fault::After(_) | Fault::LostAfter | Fault::WithoutBase | Fault::Answered => {}
    }
    let answer = match fault {
        Fault::Answered => Ok(answer_of(method)),
        _ => proxy.pass_on(method, message, fault).await,
    };
    // The sender lives in `proxy`.
    let mut stalled = proxy.stalled.subscribe();
    let _never_closed = stalled.wait_for(|stalled| !stalled).await.map(drop);
    match (fault, answer) {
        (Fault::After(code), _) => failure(code),
        (Fault::LostAfter, _) => std::future::pending().await,
        (_, Ok(answer)) => success(&answer),
        (_, Err(status)) => failure(status.code()),
    }
}

fn answer_of(method: Method) -> Vec<u8> {
    match method {
        Method::Lookup => LookupResponse::default().encode_to_vec(),
        Method::RunQuery => RunQueryResponse::default().encode_to_vec(),
        Method::Commit => {
            let result = MutationResult {
                version: 1,
                ..MutationResult::default()
            };
            let mutation_results = vec![result];
            let answer = CommitResponse {
                mutation_results,
                ..CommitResponse::default()
            };
            answer.encode_to_vec()
        }
    }
}

fn failure(code: Code) -> Response<Body> {
    let mut response = response(Body::empty());
    response.headers_mut().insert(GRPC_STATUS, (code as i32).into());
    response
}

fn success(message: &[u8]) -> Response<Body> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let frame = [&[0], &length.to_be_bytes()[..], message].concat();
    let trailers = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
    let body = Full::from(frame).with_trailers(async move { Some(Ok(trailers)) });
    response(Body::new(body))
}

fn response(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", kind);
    response
}
