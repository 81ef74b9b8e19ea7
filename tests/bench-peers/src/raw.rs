//! The floor of a cache outside the process: memcached as it is, a connection for each request that is under way.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::HeaderMap;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::response::IntoResponse;
use axum::routing::get;
use memcache_async::ascii::Protocol;
use tokio::net::TcpStream;

/// What the cart takes as CBOR, in bytes.
const VALUE_LEN: usize = 438;

#[derive(Clone)]
struct Raw {
    address: String,
    idle: Arc<Mutex<Vec<Protocol<TcpStream>>>>,
    made: Arc<AtomicU64>,
}

impl Raw {
    async fn take(&self) -> Protocol<TcpStream> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(idle) = idle {
            return idle;
        }
        let stream = TcpStream::connect(&self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Protocol::new(stream)
    }

    fn put_back(&self, connection: Protocol<TcpStream>) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
    }

    async fn seed(self) -> impl IntoResponse {
        let key = format!("id={}", self.made.fetch_add(1, Relaxed));
        let mut connection = self.take().await;
        connection.add(&key, &[b'x'; VALUE_LEN], 3600).await.unwrap();
        self.put_back(connection);
        [(SET_COOKIE, key)]
    }

    async fn read(self, headers: HeaderMap, writes: bool) -> String {
        let key = headers.get(COOKIE).unwrap().to_str().unwrap();
        let mut connection = self.take().await;
        let value = if writes {
            let (value, version) = connection.gets_cas(key).await.unwrap();
            connection.cas(key, &value, version, 3600).await.unwrap();
            value
        } else {
            connection.get(key).await.unwrap()
        };
        self.put_back(connection);
        value.len().to_string()
    }
}

pub(crate) fn router(port: &str) -> Router {
    let raw = Raw {
        address: format!("127.0.0.1:{port}"),
        idle: Arc::default(),
        made: Arc::default(),
    };
    let (seed, read, write) = (raw.clone(), raw.clone(), raw);
    Router::new()
        .route("/none", get(async || "0"))
        .route("/seed", get(move || seed.clone().seed()))
        .route("/read", get(move |headers| read.clone().read(headers, false)))
        .route("/write", get(move |headers| write.clone().read(headers, true)))
}
