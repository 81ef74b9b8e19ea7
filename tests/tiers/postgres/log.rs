//! What the client library logs of a call.

use std::io;
use std::sync::{Arc, Mutex};

use session_runtime::tier::DurableTier;
use tracing_subscriber::EnvFilter;

use super::{bytes, done, soon, tier};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_level_of_the_log_shows_a_key_or_a_record() {
    let log = Log::default();
    // The one of this binary: the client library logs through `log`, which has one receiver.
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(
            "tokio_postgres=trace,deadpool=trace,session_runtime=trace",
        ))
        .with_writer(move || writer.clone())
        .init();
    let Some(tier) = tier().await else { return };
    let version = done(tier.insert("the-key", bytes("the-record"), soon()).await);
    let version = done(tier.update("the-key", version, bytes("the-record"), soon()).await);
    tier.read("the-key").await.unwrap();
    done(tier.delete("the-key", version).await);
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(
        log.contains("executing statement") && log.contains("[_, _, _]"),
        "{log}"
    );
    let as_list = format!("{:?}", "the-record".as_bytes());
    // "the-record" in hexadecimal digits.
    for secret in ["the-key", "the-record", "7468652d7265636f7264", &as_list] {
        assert!(!log.contains(secret), "{secret}");
    }
}
