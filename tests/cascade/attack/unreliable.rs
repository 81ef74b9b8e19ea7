//! A durable file that fails like a service behind a network: before and after applying, late, and slowly.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::tier::embedded::LocalFile;
use session_runtime::tier::{DurableTier, Scope, Stored, TierError, TierErrorKind, Version, Write};
use tokio::runtime::Handle;

/// What happens to a call.
enum CallFault {
    None,
    Slow(Duration),
    Refused,
    /// Not applied, and not answered.
    LostRequest,
    /// Applied, and not answered.
    LostReply,
    /// Not answered, and applied after this time.
    Late(Duration),
}

/// A file, and the rate of its faults. Clones share both.
#[derive(Clone)]
pub(super) struct Unreliable {
    file: LocalFile,
    /// How many of a hundred calls fail.
    rate: Arc<AtomicU64>,
    random: Arc<Mutex<fastrand::Rng>>,
    /// Runs late writes: they outlive the runtime of the node that sent them.
    runtime: Handle,
}

impl Unreliable {
    pub(super) fn new(file: LocalFile) -> Self {
        Self {
            file,
            rate: Arc::default(),
            random: Arc::default(),
            runtime: Handle::current(),
        }
    }

    /// Fails `rate` of a hundred calls from now on; `seed` determines which.
    pub(super) fn fail(&self, rate: u64, seed: u64) {
        self.rate.store(rate, Ordering::SeqCst);
        *self.random.lock().unwrap() = fastrand::Rng::with_seed(seed);
    }

    fn next_fault(&self) -> CallFault {
        let mut random = self.random.lock().unwrap();
        if random.u64(0..100) >= self.rate.load(Ordering::SeqCst) {
            return CallFault::None;
        }
        let mut millis = |to| Duration::from_millis(random.u64(0..to));
        let (short, long) = (millis(300), millis(1500));
        match random.u8(0..5) {
            0 => CallFault::Slow(short),
            1 => CallFault::Refused,
            2 => CallFault::LostRequest,
            3 => CallFault::LostReply,
            _ => CallFault::Late(long),
        }
    }

    async fn write<F>(&self, call: impl FnOnce(LocalFile) -> F + Send + 'static) -> Result<Write, TierError>
    where
        F: Future<Output = Result<Write, TierError>> + Send + 'static,
    {
        let file = self.file.clone();
        match self.next_fault() {
            CallFault::None => return call(file).await,
            CallFault::Slow(by) => {
                tokio::time::sleep(by).await;
                return call(file).await;
            }
            CallFault::Refused => return Err(error(TierErrorKind::Unavailable)),
            CallFault::LostRequest => {}
            CallFault::LostReply => _ = call(file).await,
            CallFault::Late(by) => {
                let _detached = self.runtime.spawn(async move {
                    tokio::time::sleep(by).await;
                    call(file).await
                });
            }
        }
        Err(error(TierErrorKind::Unknown))
    }
}

fn error(kind: TierErrorKind) -> TierError {
    TierError::new("unreliable", "apply an injected fault", kind)
}

impl DurableTier for Unreliable {
    fn name(&self) -> &'static str {
        "unreliable"
    }

    fn scope(&self) -> Scope {
        Scope::Shared
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        match self.next_fault() {
            CallFault::Slow(by) => tokio::time::sleep(by).await,
            CallFault::Refused => return Err(error(TierErrorKind::Unavailable)),
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
