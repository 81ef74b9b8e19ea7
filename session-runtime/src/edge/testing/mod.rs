//! For the tests of an application: a store in memory, a clock that can be moved, and cookies of sessions that hold
//! what a test needs.
//!
//! It goes into `[dev-dependencies]`, with the feature `testing`:
//!
//! ```
//! use std::time::Duration;
//!
//! use axum::body::Body;
//! use axum::http::header::COOKIE;
//! use axum::http::{Request, StatusCode};
//! use axum::{Router, routing::post};
//! use session_runtime::testing::{TestStore, response_cookies};
//! use session_runtime::{CascadeStore, RouterExt, Session, TypedSession};
//! use tower::ServiceExt;
//!
//! #[derive(Session)]
//! #[session(name = "shop", version = 1)]
//! #[cascade(memcache, datastore)]
//! struct Shop {
//!     orders: u64,
//!     #[session(privileged)]
//!     user: Option<u64>,
//! }
//!
//! async fn order(mut shop: TypedSession<Shop>) -> StatusCode {
//!     if shop.user().is_none() {
//!         return StatusCode::UNAUTHORIZED;
//!     }
//!     *shop.orders_mut() += 1;
//!     StatusCode::OK
//! }
//!
//! fn app(store: CascadeStore) -> Router {
//!     Router::new().route("/order", post(order)).sessions(store)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = TestStore::new().await?;
//! let app = app(sessions.store());
//! let cookie = sessions.cookie::<Shop>(|shop| shop.set_user(Some(7))).await?; // signed in
//!
//! let send = |cookie: &str| {
//!     let request = Request::post("/order").header(COOKIE, cookie).body(Body::empty());
//!     app.clone().oneshot(request.unwrap())
//! };
//! let response = send(&cookie).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//! assert_eq!(response_cookies(&response), None, "the cookie stays as it is");
//! assert_eq!(sessions.read::<Shop>(&cookie).await?.map(|shop| shop.orders), Some(1));
//!
//! sessions.clock().advance(Duration::from_secs(20 * 60)); // the default idle time
//! assert_eq!(send(&cookie).await?.status(), StatusCode::UNAUTHORIZED);
//! assert!(sessions.read::<Shop>(&cookie).await?.is_none());
//! # Ok(())
//! # }
//! ```
//!
//! A router with a state of its own takes [`layer`](TestStore::layer), or the store. Cookies are made, and read, by the
//! very layer that serves an application.

mod handler;
mod memory;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Request};
use tokio::sync::oneshot;
use tower_layer::Layer;
use tower_service::Service;

use self::handler::OneRequest;
use super::header::HeaderCarrier;
use super::layer::SessionLayer;
use super::rejection::{RejectionKind, SessionRejection};
use crate::cascade::{BuildError, Builder, CascadeStore, CommitError, WithDatastore, WithMemcache};
use crate::clock::ManualClock;
use crate::keys::KeyRing;
use crate::request::{CommitFailure, TypedSession};
use crate::session::{FieldError, ServedBy};
use crate::tier::embedded::LocalCache;

pub use self::memory::MemoryTier;

/// A store for tests, the clock that it goes by, and the layer that makes its cookies.
pub struct TestStore<M = WithMemcache, D = WithDatastore> {
    layer: SessionLayer<M, D>,
    clock: ManualClock,
}

/// Why a session could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// The session could not be loaded.
    #[error(transparent)]
    Load(#[from] SessionRejection),
    /// The session could not be committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A field does not decode.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// Nothing was stored: the session was discarded, or it lives in the request's memory alone. Or the layer has a
    /// header in place of the cookie, or the reverse.
    #[error(
        "nothing was set for `{session}`: it was discarded, no tier but `request` is named for it, or the layer has a \
         header, for which there is `token`, or cookies, for which there is `cookie`"
    )]
    NoCookie {
        /// The session's name.
        session: &'static str,
    },
    /// The cookie cannot stand in a header.
    #[error("the cookie cannot stand in a header: it must be visible ASCII, as in `name=value`")]
    Cookie,
}

impl TestStore {
    /// A store in memory, with both tiers, a random key and the default options.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub async fn new() -> Result<Self, BuildError> {
        let clock = ManualClock::default();
        let builder = CascadeStore::builder(KeyRing::random()?)
            .memcache(LocalCache::new().with_clock(clock.clone()))
            .datastore(MemoryTier::new());
        Self::with_clock(builder, clock).await
    }
}

impl<M: 'static, D: 'static> TestStore<M, D> {
    /// A store with tiers and options of one's own. Its clock stands still until it is moved.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use session_runtime::testing::{MemoryTier, TestStore};
    /// # use session_runtime::{CascadeStore, KeyRing};
    /// # async fn build() -> Result<(), session_runtime::BuildError> {
    /// let builder = CascadeStore::builder(KeyRing::random()?).datastore(MemoryTier::new());
    /// let sessions = TestStore::on(builder.idle(Duration::from_secs(60))).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`Builder::build`].
    pub async fn on(builder: Builder<M, D>) -> Result<Self, BuildError> {
        Self::with_clock(builder, ManualClock::default()).await
    }

    async fn with_clock(builder: Builder<M, D>, clock: ManualClock) -> Result<Self, BuildError> {
        let store = builder.clock(clock.clone()).build().await?;
        let layer = store.layer();
        Ok(Self { layer, clock })
    }

    /// Makes and reads cookies as this layer does: one of [`store`](Self::store) that was given options.
    #[must_use]
    pub fn with_layer(mut self, layer: SessionLayer<M, D>) -> Self {
        self.layer = layer;
        self
    }

    /// The store, for the application.
    pub fn store(&self) -> CascadeStore<M, D> {
        self.layer.store()
    }

    /// The layer, for the application.
    pub fn layer(&self) -> SessionLayer<M, D> {
        self.layer.clone()
    }

    /// The clock that the sessions' deadlines go by.
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Creates a session that holds what `change` writes, as a handler would: its `Cookie` header, `name=value`.
    ///
    /// A handler does run `change`, so it owns what it uses (`'static`): a `move` closure, over a clone of what the test needs
    /// again.
    ///
    /// # Errors
    /// Where it cannot be stored, and where `change` discards it.
    pub async fn cookie<T>(
        &self,
        change: impl FnOnce(&mut TypedSession<T>) + Send + 'static,
    ) -> Result<String, TestError>
    where
        T: ServedBy<CascadeStore<M, D>>,
    {
        let session = T::SCHEMA.name;
        let response = self.create(change).await?;
        response_cookies(&response).ok_or(TestError::NoCookie { session })
    }

    /// Creates a session as [`cookie`](Self::cookie) does, for a [layer](Self::with_layer) with a
    /// [header](HeaderCarrier): `name=token`, as the client sends it back.
    ///
    /// ```
    /// # use axum::body::{Body, to_bytes};
    /// # use axum::http::{Request, header::AUTHORIZATION};
    /// # use axum::{Router, routing::get};
    /// # use session_runtime::testing::TestStore;
    /// # use session_runtime::{HeaderCarrier, RouterExt, Session, SessionRef};
    /// # use tower::ServiceExt;
    /// # #[derive(Session)]
    /// # #[cascade(memcache, datastore)]
    /// # struct Shop { #[session(privileged)] user: Option<u64> }
    /// # async fn user(shop: SessionRef<Shop>) -> String { format!("{:?}", shop.user()) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sessions = TestStore::new().await?;
    /// let layer = sessions.layer().with_header(HeaderCarrier::authorization());
    /// let sessions = sessions.with_layer(layer.clone());
    /// let token = sessions.token::<Shop>(|shop| shop.set_user(Some(7))).await?;
    /// let request = Request::get("/").header(AUTHORIZATION, format!("Session {token}"));
    /// # let app: Router = Router::new().route("/", get(user)).sessions(layer);
    /// # let response = app.oneshot(request.body(Body::empty())?).await?;
    /// # assert_eq!(to_bytes(response.into_body(), 100).await?, "Some(7)");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where it cannot be stored, where `change` discards it, and where the layer has cookies.
    pub async fn token<T>(
        &self,
        change: impl FnOnce(&mut TypedSession<T>) + Send + 'static,
    ) -> Result<String, TestError>
    where
        T: ServedBy<CascadeStore<M, D>>,
    {
        let session = T::SCHEMA.name;
        let response = self.create(change).await?;
        let header = self.layer.header().map(HeaderCarrier::response_name);
        let token = header.and_then(|name| response.headers().get(name)?.to_str().ok());
        token.map(str::to_owned).ok_or(TestError::NoCookie { session })
    }

    /// The response of a handler that creates a session which holds what `change` writes.
    async fn create<T>(&self, change: impl FnOnce(&mut TypedSession<T>) + Send + 'static) -> Result<Response, TestError>
    where
        T: ServedBy<CascadeStore<M, D>>,
    {
        let failure = Arc::new(Mutex::new(None));
        let layer = self.layer.clone().with_error_response({
            let failure = Arc::clone(&failure);
            move |failed: CommitFailure| {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failed.error);
                Response::default()
            }
        });
        let (sender, mut receiver) = oneshot::channel();
        let store = self.store();
        let handler = OneRequest::new(move |request| async move {
            let session = extract::<T, M, D>(request, &store).await.map(|mut session| {
                change(&mut session);
                // So that one that nothing was written to is created too.
                drop(session.into_detached());
            });
            // The receiver lives until the response has come.
            let _ = sender.send(session);
        });
        let Ok(response) = layer.layer(handler).call(Request::new(())).await;
        if let Ok(extracted) = receiver.try_recv() {
            extracted?;
        }
        if let Some(error) = failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error.into());
        }
        Ok(response)
    }

    /// What the session behind a `Cookie` header holds; `None` where there is none: the cookie is forged, or its
    /// session has expired, was destroyed, or has another secret now. A look does not renew the session.
    ///
    /// # Errors
    /// Where it cannot be loaded, or does not decode.
    pub async fn read<T>(&self, cookie: &str) -> Result<Option<T>, TestError>
    where
        T: ServedBy<CascadeStore<M, D>>,
    {
        let mut request = Request::new(());
        let cookie = HeaderValue::from_str(cookie).map_err(|_| TestError::Cookie)?;
        request.headers_mut().insert(COOKIE, cookie);
        let (sender, receiver) = oneshot::channel();
        let store = self.store();
        let handler = OneRequest::new(move |request| async move {
            let session = extract::<T, M, D>(request, &store).await;
            let fields = session
                .map(|mut session| (!session.is_new()).then(|| std::mem::replace(&mut *session, T::with_defaults())));
            let _ = sender.send(fields);
            // The request ends without a response, and so commits nothing.
            std::future::pending::<()>().await;
        });
        let no_layer = || {
            let session = T::SCHEMA.name;
            SessionRejection::from(RejectionKind::NoLayer { session })
        };
        let fields = tokio::select! {
            fields = receiver => fields.map_err(|_| no_layer())??,
            Ok(_) = self.layer.layer(handler).call(request) => return Err(no_layer().into()),
        };
        Ok(fields.map(T::into_value).transpose()?)
    }
}

async fn extract<T, M: 'static, D: 'static>(
    request: Request<()>,
    store: &CascadeStore<M, D>,
) -> Result<TypedSession<T>, SessionRejection>
where
    T: ServedBy<CascadeStore<M, D>>,
{
    TypedSession::from_request_parts(&mut request.into_parts().0, store).await
}

impl<M, D> fmt::Debug for TestStore<M, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestStore")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

/// The cookies that a response sets, as the `Cookie` header of the next request; `None` where it sets none. Those that
/// it removes are left out.
pub fn response_cookies<B>(response: &http::Response<B>) -> Option<String> {
    let lines = response.headers().get_all(SET_COOKIE).into_iter();
    let cookies = lines.filter_map(|line| ::cookie::Cookie::parse(line.to_str().ok()?).ok());
    let kept = cookies.filter(|cookie| cookie.max_age().is_none_or(::cookie::time::Duration::is_positive));
    let pairs: Vec<_> = kept.map(|cookie| cookie.stripped().to_string()).collect();
    (!pairs.is_empty()).then(|| pairs.join("; "))
}
