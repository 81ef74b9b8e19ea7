//! The storefront: by its API, and as people see it.

mod accessibility;
mod api;
mod client;
mod devices;
mod health;
mod no_script;
mod people;
mod screenshots;
#[cfg(any(feature = "postgres", feature = "valkey"))]
mod servers;

#[path = "../../storefront/main.rs"]
#[allow(dead_code, reason = "the tests run the application, not `main`")]
mod program;

use session_runtime::{CascadeStore, KeyRing};
use tempfile::TempDir;

/// A shop that is open, with an embedded store of its own.
struct Shop {
    address: String,
    _store: TempDir,
}

impl Shop {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyRing::new([[7; 32]]).unwrap();
        let store = CascadeStore::embedded(folder.path().join("sessions.redb"), keys);
        let app = program::app::app(&store.await.unwrap());
        Self {
            address: format!("http://{}", crate::serve(app).await),
            _store: folder,
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }
}
