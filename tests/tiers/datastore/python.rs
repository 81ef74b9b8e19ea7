//! Records of the tier, read by Google's client for Python.

use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use bytes::Bytes;
use session_runtime::tier::DurableTier;
use session_runtime::tier::datastore::DatastoreBuilder;
use session_runtime::{CascadeStore, KeyRing, RouterExt, Session, TypedSession};
use session_tests::services;
use session_tests::services::emulator::{Emulator, PROJECT};
use tower::ServiceExt;

use super::done;

/// Runs a program of `tests/python` with the interpreter in `SESSION_PYTHON`; false if that is not set.
async fn run_python(program: &str, arguments: &[&str], emulator: &Emulator) -> bool {
    let Some(python) = std::env::var_os("SESSION_PYTHON") else {
        services::skip(
            "google-cloud-datastore",
            "a venv with tests/python/requirements.txt, its python named by SESSION_PYTHON",
        );
        return false;
    };
    let output = tokio::process::Command::new(python)
        .arg(format!("{}/python/{program}", env!("CARGO_MANIFEST_DIR")))
        .args(arguments)
        .env("DATASTORE_EMULATOR_HOST", emulator.address())
        .env("DATASTORE_PROJECT_ID", PROJECT)
        .output()
        .await
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    true
}

pub(super) async fn python_reads_what_was_written(builder: DatastoreBuilder, emulator: &Emulator) {
    let namespace = format!("python-{}-{:p}", std::process::id(), &raw const builder);
    let builder = builder.namespace(&namespace).index_expires_at(true);
    let tier = builder.connect().await.unwrap();
    let expires_at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_900_000_000_123_456);
    done(
        tier.insert("session.k", Bytes::from_static(b"\x00\xd9\xf7\xff"), expires_at)
            .await,
    );
    let arguments = [&namespace, "session.k", "00d9f7ff", "1900000000123456"];
    run_python("read_entity.py", &arguments, emulator).await;
}

#[derive(Session)]
#[session(name = "python", version = 3)]
#[cascade(datastore)]
struct Opened {
    visits: u64,
    note: Option<String>,
}

/// A session as the whole stack writes it, decoded by an independent CBOR library.
pub(super) async fn python_opens_a_session(builder: DatastoreBuilder, emulator: &Emulator) {
    let namespace = format!("cbor-{}-{:p}", std::process::id(), &raw const builder);
    let tier = builder.namespace(&namespace).connect().await.unwrap();
    let store = CascadeStore::builder(KeyRing::random().unwrap())
        .datastore(tier)
        .build()
        .await
        .unwrap();
    let write = async |mut session: TypedSession<Opened>| {
        session.set_visits(7);
        session.set_note(Some("für Müller".to_owned()));
    };
    let app: Router = Router::new().route("/", get(write)).sessions(store);
    let response = app.oneshot(Request::new(Body::empty())).await.unwrap();
    assert!(response.status().is_success(), "{response:?}");
    run_python("read_session.py", &[&namespace], emulator).await;
}
