//! A tier that counts its calls, and fails or blocks them on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use session_runtime::tier::{
    CacheTier, Cached, DurableTier, Stored, Swap, TierError, TierErrorKind, Token, Version, Write,
};
use tokio::sync::Semaphore;

/// A tier with a [`Control`] over it.
#[derive(Clone, Debug)]
pub struct Watched<T> {
    tier: T,
    control: Control,
}

/// Counts the calls of a tier by their names (`"get"`, `"update"`, ...), and says which of them fail or block. Clones
/// share everything.
#[derive(Clone, Debug, Default)]
pub struct Control(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    counts: BTreeMap<&'static str, usize>,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    /// `None` stands for every call.
    call: Option<&'static str>,
    effect: Effect,
    once: bool,
}

#[derive(Clone, Debug)]
enum Effect {
    Fail { kind: TierErrorKind, is_applied: bool },
    Block { gate: Gate, is_applied: bool },
}

/// Where a blocked call waits.
#[derive(Clone, Debug)]
pub struct Gate {
    reached: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self {
            reached: closed(),
            open: closed(),
        }
    }

    /// Waits until the call has come.
    ///
    /// # Panics
    /// When it does not come within ten seconds.
    pub async fn reached(&self) {
        let reached = tokio::time::timeout(Duration::from_secs(10), self.reached.acquire()).await;
        reached
            .expect("the call that was to be blocked has not come")
            .expect("the gate is never closed for good")
            .forget();
    }

    /// Lets the call go on.
    pub fn release(&self) {
        self.open.add_permits(1);
    }

    /// Waits, as the one who is blocked.
    pub async fn pass(&self) {
        self.reached.add_permits(1);
        if let Ok(permit) = self.open.acquire().await {
            permit.forget();
        }
    }
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it was called since the last look, by the calls' names; then the count begins anew.
    pub fn calls(&self) -> Vec<(&'static str, usize)> {
        std::mem::take(&mut self.lock().counts).into_iter().collect()
    }

    /// How often it was called in all since the last look; then the count begins anew.
    pub fn total(&self) -> usize {
        self.calls().into_iter().map(|(_, count)| count).sum()
    }

    /// Fails every call, as a tier that is down does.
    pub fn down(&self) {
        self.rule(None, TierErrorKind::Unavailable, false, false);
    }

    /// Ends every failure.
    pub fn up(&self) {
        self.lock().rules.clear();
    }

    /// Fails every such call from now on, without applying it.
    pub fn fail(&self, call: &'static str, kind: TierErrorKind) {
        self.rule(Some(call), kind, false, false);
    }

    /// Fails the next such call; `is_applied` says whether it is carried out all the same.
    pub fn fail_once(&self, call: &'static str, kind: TierErrorKind, is_applied: bool) {
        self.rule(Some(call), kind, is_applied, true);
    }

    /// Blocks the next such call before it is carried out.
    pub fn block(&self, call: &'static str) -> Gate {
        self.gate(call, false)
    }

    /// Blocks the next such call after it was carried out, and before the caller is told.
    pub fn block_after(&self, call: &'static str) -> Gate {
        self.gate(call, true)
    }

    fn rule(&self, call: Option<&'static str>, kind: TierErrorKind, is_applied: bool, once: bool) {
        let effect = Effect::Fail { kind, is_applied };
        self.lock().rules.push(Rule { call, effect, once });
    }

    fn gate(&self, call: &'static str, is_applied: bool) -> Gate {
        let gate = Gate::new();
        let effect = Effect::Block {
            gate: gate.clone(),
            is_applied,
        };
        let call = Some(call);
        self.lock().rules.push(Rule {
            call,
            effect,
            once: true,
        });
        gate
    }

    fn enter(&self, call: &'static str) -> Option<Effect> {
        let mut inner = self.lock();
        *inner.counts.entry(call).or_default() += 1;
        let at = inner
            .rules
            .iter()
            .position(|rule| rule.call.is_none_or(|of| of == call))?;
        Some(if inner.rules[at].once {
            inner.rules.remove(at).effect
        } else {
            inner.rules[at].effect.clone()
        })
    }

    async fn call<R>(
        &self,
        call: &'static str,
        work: impl Future<Output = Result<R, TierError>>,
    ) -> Result<R, TierError> {
        match self.enter(call) {
            None => work.await,
            Some(Effect::Fail { kind, is_applied }) => {
                if is_applied {
                    work.await?;
                }
                Err(TierError::new("watched", call, kind))
            }
            Some(Effect::Block { gate, is_applied }) => {
                if is_applied {
                    let outcome = work.await;
                    gate.pass().await;
                    return outcome;
                }
                gate.pass().await;
                work.await
            }
        }
    }
}

impl<T> Watched<T> {
    /// Watches `tier`.
    pub fn new(tier: T) -> (Self, Control) {
        let control = Control::default();
        let watched = Self {
            tier,
            control: control.clone(),
        };
        (watched, control)
    }
}

impl<T: CacheTier> CacheTier for Watched<T> {
    fn name(&self) -> &'static str {
        self.tier.name()
    }

    fn max_value_len(&self) -> usize {
        self.tier.max_value_len()
    }

    async fn get(&self, key: &str) -> Result<Option<Cached>, TierError> {
        self.control.call("get", self.tier.get(key)).await
    }

    async fn add(&self, key: &str, value: Bytes, ttl: Duration) -> Result<bool, TierError> {
        self.control.call("add", self.tier.add(key, value, ttl)).await
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Duration) -> Result<(), TierError> {
        self.control.call("set", self.tier.set(key, value, ttl)).await
    }

    async fn swap(&self, key: &str, token: Token, value: Bytes, ttl: Duration) -> Result<Swap, TierError> {
        self.control.call("swap", self.tier.swap(key, token, value, ttl)).await
    }

    async fn remove(&self, key: &str, token: Token) -> Result<Swap, TierError> {
        self.control.call("remove", self.tier.remove(key, token)).await
    }
}

impl<T: DurableTier> DurableTier for Watched<T> {
    fn name(&self) -> &'static str {
        self.tier.name()
    }

    fn max_value_len(&self) -> usize {
        self.tier.max_value_len()
    }

    fn max_write_delay(&self) -> Duration {
        self.tier.max_write_delay()
    }

    async fn read(&self, key: &str) -> Result<Option<Stored>, TierError> {
        self.control.call("read", self.tier.read(key)).await
    }

    async fn insert(&self, key: &str, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        let work = self.tier.insert(key, value, expires_at);
        self.control.call("insert", work).await
    }

    async fn update(&self, key: &str, base: Version, value: Bytes, expires_at: SystemTime) -> Result<Write, TierError> {
        let work = self.tier.update(key, base, value, expires_at);
        self.control.call("update", work).await
    }

    async fn delete(&self, key: &str, base: Version) -> Result<Write, TierError> {
        self.control.call("delete", self.tier.delete(key, base)).await
    }

    async fn purge_expired(&self, now: SystemTime, limit: usize) -> Result<usize, TierError> {
        self.control.call("purge", self.tier.purge_expired(now, limit)).await
    }
}
