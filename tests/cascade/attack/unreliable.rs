//! A durable file that fails like a service behind a network: before and after applying, late, and slowly.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::tier::embedded::LocalFile;
use session_runtime::tier::{DurableTier, Stored, TierError, TierErrorKind, Version, Write};
use tokio::runtime::Handle;

/// What becomes of a call.
enum Fate {
    Pass,
    Slow(Duration),
    Refused,
    LostBefore,
    LostAfter,
    /// Its caller is told nothing; it is applied later than that.
    Late(Duration),
}

/// The file, and how it fails. Clones share both.
#[derive(Clone)]
pub(super) struct Unreliable {
    file: LocalFile,
    /// Of a hundred calls, how many fail.
    rate: Arc<AtomicU64>,
    random: Arc<Mutex<fastrand::Rng>>,
    /// Where late writes wait: they outlive the node that asked for them.
    beyond: Handle,
}

impl Unreliable {
    pub(super) fn new(file: LocalFile) -> Self {
        Self {
            file,
            rate: Arc::default(),
            random: Arc::default(),
            beyond: Handle::current(),
        }
    }

    /// Fails so many of a hundred calls, in an order that follows from `seed` and the calls.
    pub(super) fn fail(&self, rate: u64, seed: u64) {
        self.rate.store(rate, Ordering::SeqCst);
        *self.random.lock().unwrap() = fastrand::Rng::with_seed(seed);
    }

    fn fate(&self) -> Fate {
        let mut random = self.random.lock().unwrap();
        if random.u64(0..100) >= self.rate.load(Ordering::SeqCst) {
            return Fate::Pass;
        }
        let mut millis = |to| Duration::from_millis(random.u64(0..to));
        let (short, long) = (millis(300), millis(1500));
        match random.u8(0..5) {
            0 => Fate::Slow(short),
            1 => Fate::Refused,
            2 => Fate::LostBefore,
            3 => Fate::LostAfter,
            _ => Fate::Late(long),
        }
    }

    async fn write<F>(&self, call: impl FnOnce(LocalFile) -> F + Send + 'static) -> Result<Write, TierError>
    where
        F: Future<Output = Result<Write, TierError>> + Send + 'static,
    {
        let file = self.file.clone();
        match self.fate() {
            Fate::Pass => return call(file).await,
            Fate::Slow(by) => {
                tokio::time::sleep(by).await;
                return call(file).await;
            }
            Fate::Refused => return Err(error(TierErrorKind::Unavailable)),
            Fate::LostBefore => {}
            Fate::LostAfter => _ = call(file).await,
            Fate::Late(by) => {
                let _detached = self.beyond.spawn(async move {
                    tokio::time::sleep(by).await;
                    call(file).await
                });
            }
        }
        Err(error(TierErrorKind::Unknown))
    }
}

fn error(kind: TierErrorKind) -> TierError {
    TierError::new("unreliable", "fail as told", kind)
}

impl DurableTier for Unreliable {
    fn name(&self) -> &'static str {
        "unreliable"
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        match self.fate() {
            Fate::Slow(by) => tokio::time::sleep(by).await,
            Fate::Refused => return Err(error(TierErrorKind::Unavailable)),
            _ => {}
        }
        self.file.read(key).await
    }

    async fn insert(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        let key = key.to_owned();
        self.write(move |file| async move { file.insert(&key, value, expires_at).await })
            .await
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        let key = key.to_owned();
        self.write(move |file| async move { file.update(&key, base, value, expires_at).await })
            .await
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        let key = key.to_owned();
        self.write(move |file| async move { file.delete(&key, base).await })
            .await
    }

    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        self.file.purge_expired(now, limit).await
    }
}
