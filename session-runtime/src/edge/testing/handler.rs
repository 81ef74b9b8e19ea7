//! A service of one request, to be put below a session layer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::response::Response;
use http::Request;
use tower_service::Service;

/// Answers its only request by doing some work with it. A layer clones its service, so the clones share the work.
pub(super) struct OneRequest<F>(Arc<Mutex<Option<F>>>);

impl<F> OneRequest<F> {
    pub(super) fn new(work: F) -> Self {
        Self(Arc::new(Mutex::new(Some(work))))
    }
}

impl<F> Clone for OneRequest<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F, W> Service<Request<()>> for OneRequest<F>
where
    F: FnOnce(Request<()>) -> W,
    W: Future<Output = ()> + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let work = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let work = work.map(|work| work(request));
        Box::pin(async move {
            if let Some(work) = work {
                work.await;
            }
            Ok(Response::default())
        })
    }
}
